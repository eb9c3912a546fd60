package maglev

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func entries(n int, weight func(i int) uint32) []Entry {
	list := make([]Entry, n)
	for i := range list {
		list[i] = Entry{fmt.Sprintf("10.0.%d.%d:0", i/256, i%256), weight(i)}
	}
	return list
}

func even(int) uint32 { return 1 }

func slotsOf(table []uint16, n int) []int {
	counts := make([]int, n)
	for _, index := range table {
		counts[index]++
	}
	return counts
}

func TestEveryBackendGetsItsShareOfTheSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint32Range(0, 256), 1, 60).Draw(t, "weights")
		size := rapid.SampledFrom([]int{67, 251, 1021, 4093}).Draw(t, "size")
		table := Build(entries(len(weights), func(i int) uint32 { return weights[i] }), size)
		sum, n := 0, 0
		for _, w := range weights {
			sum += int(w)
			if w > 0 {
				n++
			}
		}
		if sum == 0 {
			if table != nil {
				t.Fatal("a table without a backend")
			}
			return
		}
		for i, got := range slotsOf(table, len(weights)) {
			share := float64(size) * float64(weights[i]) / float64(sum)
			low := share*(1-float64(n)/float64(size)) - 1
			switch {
			case weights[i] == 0 && got != 0:
				t.Fatalf("backend %d has weight 0 and %d slots", i, got)
			case weights[i] != 0 && got == 0:
				t.Fatalf("backend %d of weight %d has no slot", i, weights[i])
			case weights[i] != 0 && (float64(got) < low || float64(got) > share+2):
				t.Fatalf("backend %d of weight %d has %d slots, its share is %.1f", i, weights[i], got, share)
			}
		}
	})
}

func TestEqualWeightsDifferByOneSlotAtMost(t *testing.T) {
	counts := slotsOf(Build(entries(1000, func(int) uint32 { return 7 }), 65521), 1000)
	if low, high := slices.Min(counts), slices.Max(counts); high-low > 1 {
		t.Fatalf("slots from %d to %d", low, high)
	}
}

func TestTheTableDoesNotDependOnTheOrderOfTheBackends(t *testing.T) {
	list := entries(50, func(i int) uint32 { return uint32(i%4 + 1) })
	want := Build(list, 4093)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		mixed := slices.Clone(list)
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		for slot, index := range Build(mixed, 4093) {
			if got := mixed[index].Name; got != list[want[slot]].Name {
				t.Fatalf("slot %d: %s, want %s", slot, got, list[want[slot]].Name)
			}
		}
	}
}

// The table is part of what hosts of different versions have to agree on.
func TestTheTableStaysWhatItHasAlwaysBeen(t *testing.T) {
	got := Build([]Entry{{"a", 1}, {"b", 2}, {"c", 0}, {"d", 1}}, 17)
	want := []uint16{0, 1, 1, 1, 1, 3, 3, 0, 1, 0, 1, 1, 0, 1, 3, 0, 3}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestRemovingOneBackendMovesFewSlotsOfTheOthers(t *testing.T) {
	for _, n := range []int{2, 5, 10, 100} {
		oneGone(t, n)
	}
}

// oneGone takes out each of n backends in turn. To put it back makes the first table again, so it moves as much.
func oneGone(t *testing.T, n int) {
	t.Helper()
	list := entries(n, even)
	size := Size(n)
	before := Build(list, size)
	worst := 0
	for gone := range n {
		rest := slices.Delete(slices.Clone(list), gone, gone+1)
		moved := 0
		for slot, index := range Build(rest, size) {
			old := int(before[slot])
			if old != gone && list[old].Name != rest[index].Name {
				moved++
			}
		}
		worst = max(worst, moved)
	}
	t.Logf("removing one of %d backends moves at most %d of %d slots that were not its own (%.2f%%)",
		n, worst, size, 100*float64(worst)/float64(size))
	if worst > 3*size/100 {
		t.Errorf("%d of %d slots moved, more than 3%%", worst, size)
	}
}

func TestWithoutBackendsThereIsNoTable(t *testing.T) {
	for _, list := range [][]Entry{nil, {}, {{"a", 0}, {"b", 0}}} {
		if table := Build(list, 1021); table != nil {
			t.Errorf("%v: a table of %d slots", list, len(table))
		}
	}
}

func TestATableThatCannotBeRightPanics(t *testing.T) {
	for _, size := range []int{-7, 0, 1, 1024, 65535, 65539} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			Build([]Entry{{"a", 1}}, size)
		})
	}
}

func TestMoreBackendsThanSlotsStillFillsTheTable(t *testing.T) {
	table := Build(entries(300, even), 251)
	if counts := slotsOf(table, 300); slices.Max(counts) != 1 {
		t.Fatalf("a backend has %d slots", slices.Max(counts))
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, c := range []struct {
		name   string
		n      int
		weight func(int) uint32
	}{
		{"1000 backends of equal weight", 1000, even},
		{"1000 backends of weights 1 to 256", 1000, func(i int) uint32 { return uint32(i%256 + 1) }},
		{"1000 backends, one of weight 256", 1000, func(i int) uint32 { return uint32(max(1, 256-256*i)) }},
		{"65000 backends", 65000, even},
	} {
		b.Run(c.name, func(b *testing.B) {
			list := entries(c.n, c.weight)
			for b.Loop() {
				Build(list, 65521)
			}
		})
	}
}

// The tables in the kernel are known by what they were made from, and by Version: whoever changes a table raises it.
func TestATableOfThisVersionStaysAsItIs(t *testing.T) {
	h := fnv.New64a()
	for _, id := range Build(entries(50, func(i int) uint32 { return uint32(i % 7) }), Size(50)) {
		h.Write([]byte{byte(id), byte(id >> 8)})
	}
	const want = 0xb420a3f7eb0c4871
	if got := h.Sum64(); got != want {
		t.Errorf("Build gives another table than version %d did: its digest is %#x, and was %#x", Version, got, uint64(want))
	}
}

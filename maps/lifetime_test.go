package maps

import (
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
)

// Buckets lie side by side, up to half of what ticks count: nothing is in two or in none.
func TestLifetimeBucketsLieSideBySide(t *testing.T) {
	next := uint32(0)
	for i := range LifetimeBuckets {
		low, high := LifetimeBounds(i)
		if low != next || high <= low {
			t.Fatalf("bucket %d is from %d to %d, the one before it ends at %d", i, low, high, next)
		}
		if low >= 8 && high-low > low/4 {
			t.Errorf("bucket %d, from %d to %d, is wider than a quarter", i, low, high)
		}
		next = high
	}
	if next != TickMask/2+1 {
		t.Errorf("the last bucket ends at %d", next)
	}
}

// What a generation that goes has left stays with its service, and counts half when the next one goes.
func TestAServiceKeepsTheLifetimesOfItsFormerGenerations(t *testing.T) {
	tables := mustTables(t)
	tables.PutService(3, Service{Name: "world"})
	for _, ended := range []uint64{100, 10, 0} {
		tables.PutGeneration(7, Generation{Number: 1, Service: 3, State: Draining})
		must(t, tables.keepLifetimes())
		mustLast(t, tables, 7, Lifetimes{40: ended})
		must(t, tables.keepLifetimes()) // which leaves what is there
		must(t, tables.RemoveGenerations(7))
		wantLifetimes(t, Lifetimes{})(tables.Lifetimes(7))
	}
	wantLifetimes(t, Lifetimes{40: 60})(tables.PastLifetimes(3))
	must(t, tables.RemoveService(3))
	wantLifetimes(t, Lifetimes{})(tables.PastLifetimes(3))
}

func mustLast(t *testing.T, tables *Tables, generation uint16, l Lifetimes) {
	t.Helper()
	must(t, tables.maps["lifetimes"].Put(uint32(generation), bpf.ProgramLifetimes{Ended: l}))
}

func wantLifetimes(t *testing.T, want Lifetimes) func(Lifetimes, error) {
	return func(got Lifetimes, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%v (%v), want %v", got, err, want)
		}
	}
}

// More generations than have room are no mistake: the last ones' lengths are not kept, and all can go.
func TestMoreGenerationsThanHaveRoomForLifetimes(t *testing.T) {
	tables := mustTables(t)
	var all []uint16
	for i := range uint16(bpf.ProgramLimitMAX_LIFETIMES) + 10 {
		tables.PutGeneration(i+1, Generation{Number: 1, Service: 3, State: Live})
		all = append(all, i+1)
	}
	must(t, tables.keepLifetimes())
	mustLast(t, tables, 1, Lifetimes{5: 1})
	must(t, tables.RemoveGenerations(all...))
	wantLifetimes(t, Lifetimes{})(tables.Lifetimes(1))
}

// A build from before has no such map: it is adopted all the same.
func TestADataPlaneWithoutLifetimesHasNone(t *testing.T) {
	tables := mustTables(t)
	delete(tables.maps, "lifetimes")
	tables.PutGeneration(7, Generation{Number: 1, Service: 3, State: Drained})
	must(t, tables.keepLifetimes())
	must(t, tables.RemoveGenerations(7))
	must(t, tables.RemoveService(3))
	wantLifetimes(t, Lifetimes{})(tables.Lifetimes(7))
	wantLifetimes(t, Lifetimes{})(tables.PastLifetimes(3))
}

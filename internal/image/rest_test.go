package image

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// A backend that rests is in no Maglev table and keeps its weight; a new file does not wake it, and one that was removed
// stays so.
func TestABackendThatRestsTakesNoNewSessions(t *testing.T) {
	im := New()
	im.addService(1, Service{Service: kernel.Service{Name: "world"}})
	im.addGeneration(1, kernel.Generation{Number: 1, Service: 1, State: kernel.Live})
	for id := uint16(1); id <= 3; id++ {
		b := Backend{Backend: kernel.Backend{Generation: 1, Service: 1, Weight: 2, Use: kernel.InPool}}
		if b.Addrs[kernel.IPv4] = netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}); id == 3 {
			b.Use, b.Weight = kernel.Removed, 0
		}
		im.addBackend(id, b)
	}
	rests := im.WithRests(1, func(id uint16) bool { return id != 2 })
	if table := rests.Maglev(1, kernel.IPv4); len(table) == 0 || slices.ContainsFunc(table, func(id uint16) bool { return id != 2 }) {
		t.Errorf("the table names %v", slices.Compact(slices.Sorted(slices.Values(table))))
	}
	if b := rests.Backends[1]; b.Use != kernel.Resting || b.Weight != 2 || rests.Backends[3].Use != kernel.Removed {
		t.Errorf("%+v, and %+v", b, rests.Backends[3])
	}
	if rests.WithRests(1, func(id uint16) bool { return id != 2 }) != rests {
		t.Error("an image in which nothing changes is another one")
	}
	if back := rests.WithRests(1, func(uint16) bool { return false }); back.Backends[1] != im.Backends[1] {
		t.Errorf("%+v after its rest", back.Backends[1])
	}
}

// When one backend rests, few new flows of the others go elsewhere, and all come back with it: also where one fewer would
// have made a smaller table.
func TestOneThatRestsMovesFewOfTheOthers(t *testing.T) {
	for _, n := range []int{2, 3, 5, 10, 11, 40, 41, 100, 163, 164, 500} {
		im := New()
		im.addService(1, Service{Service: kernel.Service{Name: "world"}})
		im.addGeneration(1, kernel.Generation{Number: 1, Service: 1, State: kernel.Live})
		for id := uint16(1); int(id) <= n; id++ {
			b := Backend{Backend: kernel.Backend{Generation: 1, Service: 1, Weight: 1, Use: kernel.InPool}}
			b.Addrs[kernel.IPv4] = netip.AddrFrom4([4]byte{10, 0, byte(id >> 8), byte(id)})
			im.addBackend(id, b)
		}
		before := im.Maglev(1, kernel.IPv4)
		var worst, sum float64
		one := slices.Sorted(maps.Keys(im.Backends))[:min(n, 20)]
		for _, gone := range one {
			rests := im.WithRests(1, func(id uint16) bool { return id == gone })
			after := rests.Maglev(1, kernel.IPv4)
			if len(after) != len(before) {
				t.Fatalf("with %d of %d backends the table has %d slots, not %d", n-1, n, len(after), len(before))
			}
			moved, others := 0, 0
			for slot, id := range before {
				if id != gone {
					others++
					if after[slot] != id {
						moved++
					}
				}
			}
			share := float64(moved) / float64(others)
			worst, sum = max(worst, share), sum+share
			if back := rests.WithRests(1, func(uint16) bool { return false }); !slices.Equal(back.Maglev(1, kernel.IPv4), before) {
				t.Errorf("%d backends: the table is another one after a rest", n)
			}
		}
		t.Logf("%d backends, %d slots: one that rests moves %.1f%% of the others' slots, at most %.1f%%", n, len(before), 100*sum/float64(len(one)), 100*worst)
		if worst > 0.04 {
			t.Errorf("%d backends: one that rests moves %.1f%% of the others' slots", n, 100*worst)
		}
	}
}

// The note of what a table was made from knows its size, too: one that rests, and one that is gone, leave the same backends.
func TestTheNoteOfATableKnowsItsSize(t *testing.T) {
	who := []taker{{id: 1, weight: 1}}
	if (takers{who, 1021}).digest() == (takers{who, 4093}).digest() {
		t.Error("tables of two sizes have the same note")
	}
}

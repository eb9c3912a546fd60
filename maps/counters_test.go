package maps

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// count lets a backend's counter stand at so many packets on each CPU.
func (t *Tables) count(tb testing.TB, id uint16, packets uint64) {
	tb.Helper()
	per := make([]bpf.ProgramSent, ebpf.MustPossibleCPU())
	for cpu := range per {
		per[cpu] = bpf.ProgramSent{Packets: packets, Bytes: 100 * packets}
	}
	must(tb, t.maps["backend_counters"].Put(uint32(id), per))
}

func (t *Tables) mustThrough(tb testing.TB, generation uint16) Sent {
	tb.Helper()
	counts, err := t.Counts()
	must(tb, err)
	_, sent := counts.Generation(generation)
	return sent
}

func TestWhatARemovedBackendCountedStaysWithItsGeneration(t *testing.T) {
	tables, cpus := mustTables(t), uint64(ebpf.MustPossibleCPU())
	tables.PutGeneration(7, Generation{Number: 1, State: Live})
	tables.PutGeneration(8, Generation{Number: 2, State: Live})
	last := uint16(OwnCounters - 1)
	for id, generation := range map[uint16]uint16{1: 7, 2: 7, 3: 8, last: 7} {
		for _, f := range families {
			tables.PutBackend(f, id, Backend{Generation: generation, Use: InPool})
		}
		tables.count(t, id, uint64(id))
	}
	want := Sent{(1 + 2 + uint64(last)) * cpus, (1 + 2 + uint64(last)) * cpus * 100}
	other := Sent{3 * cpus, 300 * cpus}
	check := func(when string) {
		t.Helper()
		if a, b := tables.mustThrough(t, 7), tables.mustThrough(t, 8); a != want || b != other {
			t.Errorf("%s: %+v and %+v, want %+v and %+v", when, a, b, want, other)
		}
	}
	check("before")
	must(t, tables.FoldCounts(2, last))
	check("folded in")
	must(t, tables.FoldCounts(2, last)) // as the next daemon does, when one was killed before it removed them
	check("folded in again")
	for _, f := range families {
		tables.RemoveBackend(f, 2)
		tables.RemoveBackend(f, last)
	}
	check("removed")
	tables.PutGeneration(7, Generation{Number: 1, State: Draining})
	check("the generation's record written again")
	tables.PutBackend(IPv6, 2, Backend{Generation: 8, Use: InPool})
	check("the id used again")
	counts, err := tables.Counts()
	must(t, err)
	if n, counted := counts.Backend(2); !counted || n != (Sent{}) {
		t.Errorf("who uses the id again finds %+v (counts by itself: %t)", n, counted)
	}
	if n, counted := counts.Backend(1); !counted || n != (Sent{cpus, 100 * cpus}) {
		t.Errorf("who stays counted %+v (by itself: %t)", n, counted)
	}
	if _, counted := counts.Backend(4); counted {
		t.Error("a backend that is not there counts")
	}
}

// A generation that goes takes its counts along: its index begins at 0 when it is used again.
func TestNothingIsFoldedIntoAGenerationThatIsGone(t *testing.T) {
	tables := mustTables(t)
	tables.PutGeneration(7, Generation{Number: 1, State: Drained})
	for _, id := range []uint16{1, 2} {
		tables.PutBackend(IPv4, id, Backend{Generation: 7, Use: Removed})
		tables.count(t, id, 5)
	}
	must(t, tables.FoldCounts(1))
	must(t, tables.RemoveGenerations(7))
	must(t, tables.FoldCounts(1, 2))
	tables.RemoveBackend(IPv4, 1)
	tables.RemoveBackend(IPv4, 2)
	tables.PutGeneration(7, Generation{Number: 1, State: Live})
	if n := tables.mustThrough(t, 7); n != (Sent{}) {
		t.Errorf("a new generation begins with %+v", n)
	}
}

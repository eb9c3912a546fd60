package maps

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

func TestGenerationsComeBackAsTheyWerePut(t *testing.T) {
	tables := mustTables(t)
	want := Generation{
		Number: 12, Service: 3, Colour: Green, State: Draining, Version: "2.0", Since: time.Unix(1700000000, 0),
		NewAtFlip: 1 << 40, ReopenedAtFlip: 9,
	}
	tables.PutGeneration(4095, want)
	if got := tables.Generations(); len(got) != 1 || got[4095] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// An index that is used again begins with nothing: no counts, no table.
func TestARemovedGenerationLeavesNothingBehind(t *testing.T) {
	tables := mustTables(t)
	tables.PutGeneration(7, Generation{Number: 1, State: Live})
	must(t, tables.SetMaglev(7, IPv6, []uint16{1, 2, 3}))
	counted := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
	counted[0] = bpf.ProgramCounters{Packets: 1, NewSessions: 1}
	must(t, tables.maps["generation_counters"].Put(uint32(7), counted))
	must(t, tables.RemoveGeneration(7))
	if c, err := tables.Counters(7); err != nil || c != (Counters{}) {
		t.Errorf("counters %+v (%v) are left", c, err)
	}
	if got := tables.Generations(); len(got) != 0 {
		t.Errorf("%+v is left", got)
	}
	if tables.HasMaglev(7, IPv6, []uint16{1, 2, 3}) {
		t.Error("its Maglev table is left")
	}
}

func TestATableIsKnownByItsDigest(t *testing.T) {
	tables := mustTables(t)
	tables.PutGeneration(7, Generation{Number: 1, State: Live})
	if !tables.HasMaglev(7, IPv4, nil) {
		t.Error("no table is not known as none")
	}
	must(t, tables.SetMaglev(7, IPv4, []uint16{1, 2, 3, 4, 5}))
	for _, c := range []struct {
		ids  []uint16
		want bool
	}{{[]uint16{1, 2, 3, 4, 5}, true}, {[]uint16{1, 2, 3, 5, 4}, false}, {[]uint16{1, 2, 3, 4}, false}, {nil, false}} {
		if got := tables.HasMaglev(7, IPv4, c.ids); got != c.want {
			t.Errorf("HasMaglev of %v is %v", c.ids, got)
		}
	}
	if tables.HasMaglev(7, IPv6, []uint16{1, 2, 3, 4, 5}) {
		t.Error("the IPv6 table is known by the IPv4 one")
	}
	must(t, tables.SetMaglev(7, IPv4, nil))
	if !tables.HasMaglev(7, IPv4, nil) {
		t.Error("a removed table is not known as none")
	}
}

// A writer that was killed in between leaves a table that is neither the old one nor the new one, nor none.
func TestATableWhoseWriterWasKilledIsNotKnown(t *testing.T) {
	tables := mustTables(t)
	tables.PutGeneration(7, Generation{Number: 1, State: Live})
	must(t, tables.SetMaglev(7, IPv4, []uint16{1, 2, 3}))
	tables.generations[7].Maglev[IPv4] = beingReplaced
	for _, ids := range [][]uint16{nil, {1, 2, 3}} {
		if tables.HasMaglev(7, IPv4, ids) {
			t.Errorf("the table is taken for %v", ids)
		}
	}
}

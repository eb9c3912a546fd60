package maps

import (
	"slices"
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
	must(t, tables.SetMaglevs([]MaglevTable{{Generation: 7, Family: IPv6, IDs: []uint16{1, 2, 3}, Digest: 5}}))
	counted := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
	counted[0] = bpf.ProgramCounters{Sent: bpf.ProgramSent{Packets: 1}, NewSessions: 1}
	must(t, tables.maps["generation_counters"].Put(uint32(7), counted))
	must(t, tables.CountTroubles(7))
	must(t, tables.RemoveGenerations(7))
	if n, counted, err := tables.Troubles(7); err != nil || counted || n != (Troubles{}) {
		t.Errorf("troubles %+v (counted: %t, %v) are left", n, counted, err)
	}
	if c, err := tables.Counters(7); err != nil || c != (Counters{}) {
		t.Errorf("counters %+v (%v) are left", c, err)
	}
	if got := tables.Generations(); len(got) != 0 {
		t.Errorf("%+v is left", got)
	}
	if ids, err := tables.Maglev(7, IPv6); err != nil || len(ids) != 0 || !tables.HasMaglev(7, IPv6, 0) {
		t.Errorf("its Maglev table is left: %v (%v)", ids, err)
	}
}

func TestTablesAreKnownByTheirDigests(t *testing.T) {
	tables := mustTables(t)
	tables.PutGeneration(7, Generation{Number: 1, State: Live})
	tables.PutGeneration(8, Generation{Number: 1, State: Live})
	if !tables.HasMaglev(7, IPv4, 0) {
		t.Error("no table is not known as none")
	}
	want := []MaglevTable{
		{Generation: 7, Family: IPv4, IDs: []uint16{1, 2, 3, 4, 5}, Digest: 11},
		{Generation: 7, Family: IPv6},
		{Generation: 8, Family: IPv6, IDs: []uint16{65535}, Digest: 13},
	}
	must(t, tables.SetMaglevs(want))
	for _, table := range want {
		ids, err := tables.Maglev(table.Generation, table.Family)
		must(t, err)
		if !slices.Equal(ids, table.IDs) || !tables.HasMaglev(table.Generation, table.Family, table.Digest) {
			t.Errorf("generation %d has %v in %v, want %v", table.Generation, ids, table.Family, table.IDs)
		}
	}
	if tables.HasMaglev(7, IPv4, 13) || tables.HasMaglev(8, IPv4, 11) {
		t.Error("a table is known by another's digest")
	}
	must(t, tables.SetMaglevs([]MaglevTable{{Generation: 7, Family: IPv4}}))
	if !tables.HasMaglev(7, IPv4, 0) {
		t.Error("a removed table is not known as none")
	}
}

// A writer that was killed in between leaves a table that is neither the old one nor the new one, nor none.
func TestATableWhoseWriterWasKilledIsNotKnown(t *testing.T) {
	tables := mustTables(t)
	tables.PutGeneration(7, Generation{Number: 1, State: Live})
	must(t, tables.SetMaglevs([]MaglevTable{{Generation: 7, Family: IPv4, IDs: []uint16{1}, Digest: 11}}))
	tables.generations[7].Maglev[IPv4] = beingReplaced
	for _, digest := range []uint64{0, 11} {
		if tables.HasMaglev(7, IPv4, digest) {
			t.Errorf("the table is taken for %d", digest)
		}
	}
}

package maps

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
)

func TestTroublesAreTheSumOfAllCPUs(t *testing.T) {
	tables := mustTables(t)
	if n, counted, err := tables.Troubles(7); err != nil || counted || n != (Troubles{}) {
		t.Errorf("%+v (counted: %t, %v) before anybody asked", n, counted, err)
	}
	begun := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
	begun[0] = bpf.ProgramCounters{NewSessions: 30, Orphans: 4}
	must(t, tables.maps["generation_counters"].Put(uint32(7), begun))
	must(t, tables.CountTroubles(7))
	if n, counted, err := tables.Troubles(7); err != nil || !counted || n != (Troubles{Before: 34}) {
		t.Errorf("%+v (counted: %t, %v) to begin with", n, counted, err)
	}
	per := make([]bpf.ProgramTroubles, ebpf.MustPossibleCPU())
	for i := range per {
		per[i] = bpf.ProgramTroubles{NeverEstablished: 1, Resets: 2, SynRetransmits: 3}
	}
	must(t, tables.maps[troublesMap].Put(uint32(7), per))
	must(t, tables.CountTroubles(7)) // begins nothing anew
	n := uint64(len(per))
	if got, counted, err := tables.Troubles(7); err != nil || !counted || got != (Troubles{n, 2 * n, 3 * n, 0}) {
		t.Errorf("%+v (counted: %t, %v), want %d times 1, 2, 3", got, counted, err, n)
	}
}

func TestTroublesOfMoreGenerationsThanFitAreRefused(t *testing.T) {
	tables := mustTables(t)
	for i := range uint16(bpf.ProgramLimitMAX_TROUBLES) {
		must(t, tables.CountTroubles(i))
	}
	if err := tables.CountTroubles(1000); !errors.Is(err, unix.E2BIG) || !strings.Contains(err.Error(), "512 at most") {
		t.Errorf("got %v", err)
	}
}

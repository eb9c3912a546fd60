package maps

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Colour is the slot that a generation holds.
type Colour = bpf.ProgramColour

const (
	NoColour = bpf.ProgramColourCOLOUR_NONE // drains outside the two slots
	Blue     = bpf.ProgramColourCOLOUR_BLUE
	Green    = bpf.ProgramColourCOLOUR_GREEN
)

// GenerationState is where a generation is in its life.
type GenerationState = bpf.ProgramGenerationState

const (
	Unused    = bpf.ProgramGenerationStateGENERATION_UNUSED
	Candidate = bpf.ProgramGenerationStateGENERATION_CANDIDATE
	Live      = bpf.ProgramGenerationStateGENERATION_LIVE
	Draining  = bpf.ProgramGenerationStateGENERATION_DRAINING
	Drained   = bpf.ProgramGenerationStateGENERATION_DRAINED
)

// Generation is one version deployed into a pool. The data plane knows it by its index only; what is kept here is for
// a daemon that starts again.
type Generation struct {
	Number         uint32 // grows only, per service
	Service        uint16
	Colour         Colour
	State          GenerationState
	Version        string
	Since          time.Time // State was entered
	NewAtFlip      uint64    // Counters.New when the flip away from it had returned
	ReopenedAtFlip uint64
}

// PutGeneration writes a generation's record, its state last: a record that a killed daemon left half written is unused.
// One that is there already keeps what does not change.
func (t *Tables) PutGeneration(index uint16, g Generation) {
	e := &t.generations[index]
	if e.State == Unused || e.Number != g.Number || e.Service != g.Service {
		e.State = Unused
		e.Number, e.Service, e.Version, e.Maglev = g.Number, g.Service, wireName(g.Version), [2]uint64{}
	}
	e.Colour, e.Since = g.Colour, uint64(g.Since.Unix())
	e.NewAtFlip, e.ReopenedAtFlip = g.NewAtFlip, g.ReopenedAtFlip
	atomic.StoreUint32((*uint32)(&e.State), uint32(g.State))
}

// RemoveGenerations frees indexes and their Maglev tables. No flow may be pinned to a backend of them. Their counters begin
// at 0 when an index is used again; how long their sessions lasted stays with their services.
func (t *Tables) RemoveGenerations(indexes ...uint16) error {
	var tables []MaglevTable
	for _, index := range indexes {
		for _, f := range families {
			if !t.HasMaglev(index, f, 0) {
				tables = append(tables, MaglevTable{Generation: index, Family: f})
			}
		}
	}
	for batch := range slices.Chunk(tables, MaglevBatch) {
		if err := t.SetMaglevs(batch); err != nil {
			return err
		}
	}
	zero := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
	for _, index := range indexes {
		// Before the record goes: who uses the index next must not find old counts.
		if err := t.maps["generation_counters"].Put(uint32(index), zero); err != nil {
			return fmt.Errorf("reset the counters of generation index %d: %w", index, err)
		}
		if err := t.forgetTroubles(index); err != nil {
			return err
		}
		if err := t.foldLifetimes(index); err != nil {
			return err
		}
		atomic.StoreUint32((*uint32)(&t.generations[index].State), uint32(Unused))
		t.generations[index] = bpf.ProgramGeneration{}
	}
	return nil
}

// Generations lists the generations in the kernel by index.
func (t *Tables) Generations() map[uint16]Generation {
	out := map[uint16]Generation{}
	for index := range t.generations {
		if g, used := t.Generation(uint16(index)); used {
			out[uint16(index)] = g
		}
	}
	return out
}

// Generation reads one generation, and whether there is one of this index.
func (t *Tables) Generation(index uint16) (Generation, bool) {
	e := &t.generations[index]
	if e.State == Unused {
		return Generation{}, false
	}
	return Generation{
		Number: e.Number, Service: e.Service, Colour: e.Colour, State: e.State, Version: hostName(e.Version),
		Since: time.Unix(int64(e.Since), 0), NewAtFlip: e.NewAtFlip, ReopenedAtFlip: e.ReopenedAtFlip,
	}, true
}

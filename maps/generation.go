package maps

import (
	"fmt"
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

// RemoveGeneration frees an index and its Maglev tables. No flow may be pinned to a backend of it. Its counters begin
// at 0 when the index is used again.
func (t *Tables) RemoveGeneration(index uint16) error {
	for _, f := range families {
		if err := t.SetMaglev(index, f, nil); err != nil {
			return err
		}
	}
	// Before the record goes: who uses the index next must not find old counts.
	zero := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
	if err := t.maps["generation_counters"].Put(uint32(index), zero); err != nil {
		return fmt.Errorf("reset the counters of generation index %d: %w", index, err)
	}
	atomic.StoreUint32((*uint32)(&t.generations[index].State), uint32(Unused))
	t.generations[index] = bpf.ProgramGeneration{}
	return nil
}

// Generations lists the generations in the kernel by index.
func (t *Tables) Generations() map[uint16]Generation {
	out := map[uint16]Generation{}
	for i := range t.generations {
		e := &t.generations[i]
		if e.State == Unused {
			continue
		}
		out[uint16(i)] = Generation{
			Number: e.Number, Service: e.Service, Colour: e.Colour, State: e.State, Version: hostName(e.Version),
			Since: time.Unix(int64(e.Since), 0), NewAtFlip: e.NewAtFlip, ReopenedAtFlip: e.ReopenedAtFlip,
		}
	}
	return out
}

// Counters is what the data plane counted of a generation, over all CPUs.
type Counters struct {
	Packets, Bytes uint64 // client to backend
	New            uint64 // sessions pinned as new
	Orphans        uint64 // sessions pinned from mid-stream
	Reopened       uint64 // SYNs on a flow that was not closed
	Unpinned       uint64 // packets that found no slot
	LastUnpinned   uint32 // tick
}

// Counters reads a generation's counters.
func (t *Tables) Counters(index uint16) (Counters, error) {
	var per []bpf.ProgramCounters
	if err := t.maps["generation_counters"].Lookup(uint32(index), &per); err != nil {
		return Counters{}, fmt.Errorf("read the counters of generation index %d: %w", index, err)
	}
	var c Counters
	for _, p := range per {
		c.Packets += p.Packets
		c.Bytes += p.Bytes
		c.New += p.NewSessions
		c.Orphans += p.Orphans
		c.Reopened += p.Reopened
		c.Unpinned += p.Unpinned
		c.LastUnpinned = max(c.LastUnpinned, uint32(p.LastUnpinned))
	}
	return c, nil
}

package maps

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// sliceLines is how many lines one run of the sweeper visits: short enough (well under a millisecond when the table is
// warm) that ten million slots never hold a CPU for long.
const sliceLines = 16384

// Sweep is what one complete pass over both tables found: every flow that was there from its begin to its end is
// counted once.
type Sweep struct {
	Tables    [2]Usage          // by family
	Missed    uint64            // slots that were being written: not counted, so the pass proves nothing
	Sessions  map[uint16]States // by backend id
	Flows     map[uint16]uint32 // by backend id; as many as sessions, where each flow is one
	VIPs      map[uint16]uint64 // by VIP id
	Listeners map[uint16]uint64 // by listener id
	Tick      uint32            // of the last slice
	Began     uint32            // tick of the first slice
}

// Usage of one table, in slots.
type Usage struct {
	Used, Freed, Stash uint64 // Stash: of Used, those in the overflow
}

// States counts sessions by state: the index is a FlowState.
type States [bpf.ProgramFlowStateFLOW_STATES]uint32

// Total of all states.
func (s States) Total() (n uint64) {
	for _, x := range s {
		n += uint64(x)
	}
	return n
}

// RunSweep runs the sweeper over all lines of both tables, slice by slice. One at a time: they share the counts.
func (t *Tables) RunSweep(sweeper *ebpf.Program) (Sweep, error) {
	clear(t.sessions)
	clear(t.tallies)
	if err := t.keepLifetimes(); err != nil {
		return Sweep{}, err
	}
	since := t.swept
	out := Sweep{Sessions: map[uint16]States{}, Flows: map[uint16]uint32{}, VIPs: map[uint16]uint64{}, Listeners: map[uint16]uint64{}}
	for _, f := range families {
		lines := t.SlotCount(f) / Slots
		for first := uint32(0); first < lines; first += sliceLines {
			args := bpf.ProgramSweepArgs{Table: f, First: first, Lines: min(sliceLines, lines-first), Since: since}
			if err := out.slice(sweeper, &args); err != nil {
				return Sweep{}, err
			}
		}
	}
	t.swept = out.Began
	return out, t.readCounts(&out)
}

func (s *Sweep) slice(sweeper *ebpf.Program, args *bpf.ProgramSweepArgs) error {
	ret, err := sweeper.Run(&ebpf.RunOptions{Context: args, ContextOut: args})
	if err != nil {
		return fmt.Errorf("sweep lines %d to %d: %w", args.First, args.First+args.Lines, err)
	}
	if ret != 0 {
		return fmt.Errorf("sweep lines %d to %d: refused with %d", args.First, args.First+args.Lines, int32(ret))
	}
	u := &s.Tables[args.Table]
	u.Used += args.Used
	u.Freed += args.Freed
	u.Stash += args.Stash
	s.Missed += args.Missed
	if s.Tick = args.Now; args.Table == IPv4 && args.First == 0 {
		s.Began = args.Now
	}
	return nil
}

func (t *Tables) readCounts(s *Sweep) error {
	for id := range t.sessions {
		var n States
		if copy(n[HalfOpen:], t.sessions[id].States[:]); n != (States{}) {
			s.Sessions[uint16(id)] = n
		}
		if flows := t.sessions[id].Flows; flows != 0 {
			s.Flows[uint16(id)] = flows
		}
	}
	for id, n := range t.tallies {
		if n.OfVip != 0 {
			s.VIPs[uint16(id)] = uint64(n.OfVip)
		}
		if n.OfListener != 0 {
			s.Listeners[uint16(id)] += uint64(n.OfListener)
		}
	}
	return t.addOnlyListeners(s)
}

// addOnlyListeners gives what a VIP has to its listener, where it has one only: the sweeper leaves that to the daemon.
func (t *Tables) addOnlyListeners(s *Sweep) error {
	for id, n := range s.VIPs {
		var v bpf.ProgramVip
		if err := t.maps["vips"].Lookup(uint32(id), &v); err != nil {
			return fmt.Errorf("read VIP id %d: %w", id, err)
		}
		if v.Listener != 0 {
			s.Listeners[v.Listener] += n
		}
	}
	return nil
}

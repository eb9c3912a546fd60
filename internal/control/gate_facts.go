package control

import (
	"errors"
	"math/bits"
	"time"

	"github.com/ebbtide/ebbtide/internal/gate"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// mark is what had been counted of a generation at a moment.
type mark struct {
	at       time.Time
	fresh    uint64 // sessions begun that are no orphans
	begun    uint64
	orphans  uint64
	halfOpen uint64 // by the newest sweep
	troubles kernel.Troubles
	ended    *kernel.Lifetimes // nil: not known of that moment
}

// marks are those of the time before a release, at most so many, evenly spaced.
type marks struct {
	number uint32 // of the generation: its index may be another's later
	list   []mark
}

// How far back the counts are kept that a release is compared with, and how close together.
const (
	marksFor   = 30 * time.Minute
	marksEvery = 30 * time.Second
)

// markGates notes the counts of what may be released from and to. The lock is held.
func (c *Controller) markGates() {
	if c.cfg == nil {
		return
	}
	for _, s := range c.cfg.Services {
		service, ok := c.image.ServiceNamed(s.Name)
		if !ok || len(s.Release.Gates) == 0 {
			continue
		}
		steer := c.image.Services[service].Steer
		for _, g := range c.image.GenerationsOf(service) {
			if g != steer.Live && g != steer.Candidate && c.image.Generations[g].Colour == kernel.NoColour {
				continue // it is no longer released from or to
			}
			if err := c.markGate(g); err != nil {
				c.log.Error("count for gates", "service", s.Name, "err", err)
			}
		}
	}
	for g, m := range c.gates.history {
		if c.image.Generations[g].Number != m.number {
			delete(c.gates.history, g)
		}
	}
}

func (c *Controller) markGate(g uint16) error {
	m, err := c.readMark(g)
	if err != nil {
		return err
	}
	if c.gates.history == nil {
		c.gates.history = map[uint16]*marks{}
	}
	h := c.gates.history[g]
	if number := c.image.Generations[g].Number; h == nil || h.number != number {
		h = &marks{number: number}
		c.gates.history[g] = h
	}
	h.add(m)
	return nil
}

// add keeps a mark where the one before it is not too near, and lets go of those that are too old.
func (h *marks) add(m mark) {
	if n := len(h.list); n > 0 && m.at.Sub(h.list[n-1].at) < marksEvery {
		return
	}
	h.list = append(h.list, m)
	for len(h.list) > 1 && m.at.Sub(h.list[0].at) > marksFor {
		h.list = h.list[1:]
	}
}

// readMark reads what is counted of a generation, and begins to count where it is not yet.
func (c *Controller) readMark(g uint16) (mark, error) {
	t := c.plane.Tables
	n, err := t.Counters(g)
	if err != nil {
		return mark{}, err
	}
	troubles, counted, err := t.Troubles(g)
	if err == nil && !counted {
		if err = t.CountTroubles(g); err == nil {
			troubles, _, err = t.Troubles(g)
		}
	}
	if err != nil {
		return mark{}, err
	}
	ended, err := t.Lifetimes(g)
	return mark{
		ended: &ended, at: c.releaseNow(), fresh: n.New, begun: n.New + n.Orphans, orphans: n.Orphans, halfOpen: c.sessions(g).HalfOpen, troubles: troubles,
	}, err
}

// gateMarks are what had been counted of a release's generations when a watch of its gates began.
type gateMarks struct {
	old, oldEnd mark // of the old generation: as far back as is known, and then
	new, newEnd mark // the same of the new one
}

// begin notes where a watch begins.
func (w *gateMarks) begin(c *Controller, from, to uint16) (err error) {
	if w.oldEnd, err = c.readMark(from); err != nil {
		return err
	}
	if w.newEnd, err = c.readMark(to); err != nil {
		return err
	}
	w.old, w.new = c.oldest(from, w.oldEnd), c.oldest(to, w.newEnd)
	return nil
}

// oldest is the mark of a generation that is farthest back. Where there is none, as after a restart, it is the moment at
// which its troubles began to be counted: that is known, but for when it was.
func (c *Controller) oldest(g uint16, now mark) mark {
	if h := c.gates.history[g]; h != nil && h.number == c.image.Generations[g].Number && now.at.Sub(h.list[0].at) >= marksEvery {
		return h.list[0]
	}
	return mark{begun: now.troubles.Before, troubles: kernel.Troubles{Before: now.troubles.Before}}
}

// count compares the generations. The old one counts up to the watch's begin, and on where it is live beside the new one. Where
// they are one, whose backends change, it is compared with itself before.
func (w *gateMarks) count(c *Controller, f *gate.Facts, from, to uint16) error {
	if to == 0 {
		return errors.New("the generation that is released is gone")
	}
	is, err := c.readMark(to)
	if err != nil {
		return err
	}
	f.New = w.newEnd.until(is)
	old, oldIs := w.oldEnd, w.oldEnd
	if from != 0 && from != to && c.image.Services[c.image.Generations[to].Service].Steer.Live == from {
		if oldIs, err = c.readMark(from); err != nil {
			return err
		}
		old = oldIs
	}
	f.Old = w.old.until(old)
	f.Since = gate.Rate{Count: is.fresh - w.newEnd.fresh + oldIs.fresh - w.oldEnd.fresh, For: is.at.Sub(w.newEnd.at)}
	if !w.old.at.IsZero() {
		f.Before = gate.Rate{Count: w.oldEnd.fresh - w.old.fresh, For: w.oldEnd.at.Sub(w.old.at)}
		if !w.new.at.IsZero() && from != to {
			f.Before.Count += w.newEnd.fresh - w.new.fresh
		}
	}
	return nil
}

// until is what was counted between two marks of a generation.
func (m mark) until(later mark) gate.Counts {
	begun := later.begun - m.begun
	settled := int64(begun) - int64(later.halfOpen) + int64(m.halfOpen)
	return gate.Counts{
		Begun: begun, Settled: uint64(max(0, settled)), Orphans: later.orphans - m.orphans,
		NeverEstablished: later.troubles.NeverEstablished - m.troubles.NeverEstablished,
		Resets:           later.troubles.Resets - m.troubles.Resets,
		SYNRetransmits:   later.troubles.SYNRetransmits - m.troubles.SYNRetransmits,
		Ended:            endedBetween(m.ended, later.ended),
	}
}

// endedBetween are the sessions that ended, by doublings of their length from a tick on, which is about a second.
func endedBetween(before, after *kernel.Lifetimes) []uint64 {
	if before == nil || after == nil {
		return nil
	}
	out := make([]uint64, 0, bits.UintSize)
	for i := range after {
		low, _ := kernel.LifetimeBounds(i)
		if doubling := bits.Len32(low); doubling == len(out) {
			out = append(out, 0)
		}
		out[len(out)-1] += after[i] - before[i]
	}
	return out
}

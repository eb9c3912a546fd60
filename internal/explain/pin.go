package explain

import (
	"fmt"

	"github.com/ebbtide/ebbtide/maps"
)

// opens: the packet is a SYN.
func (w *walk) opens() bool { return w.Protocol == maps.ProtocolTCP && !w.Midstream }

// pin: a flow entry that has not expired decides, whatever is live.
func (w *walk) pin() (bool, error) {
	if w.Client.Port() == 0 || w.To.Port() == 0 {
		return false, nil
	}
	flow, there, err := w.k.Find(w.Client, w.To.Port(), w.to.VIP)
	if err != nil {
		return true, err
	}
	if !there {
		w.say(StepPin, "none")
		return false, nil
	}
	idle, timeout := w.silence(flow), w.timeout(flow, w.Protocol)
	state := fmt.Sprintf("%s, silent for %v", maps.StateName(flow.State), w.span(idle))
	switch {
	case idle > timeout:
		w.say(StepPin, fmt.Sprintf("none: its entry was silent for longer than its timeout of %v", w.span(timeout)))
	case w.leaves(flow) && w.Midstream:
		return w.reset(flow, state)
	case w.leaves(flow):
		w.say(StepPin, fmt.Sprintf("on %s, which it leaves: it is steered anew", w.server(flow.Backend)))
		w.free = !wasReset(flow)
	case w.opens() && w.startsAnew(flow, idle):
		w.say(StepPin, fmt.Sprintf("on %s (%s), but a SYN from this port begins a new session", w.server(flow.Backend), state))
	default:
		b, _ := w.k.Backend(w.family, flow.Backend)
		w.say(StepPin, fmt.Sprintf("on %s of %s (%s)", w.server(flow.Backend), w.name(b.Generation), state))
		w.Pinned, w.Generation, w.Backends = true, b.Generation, []uint16{flow.Backend}
		return w.hop()
	}
	return false, nil
}

// silence in ticks. A packet that another CPU has seen a moment after the clock was read counts as none.
func (w *walk) silence(flow maps.Flow) uint32 {
	const skew = 4 // TICK_SKEW of the program
	if ticks := (w.host.Now - flow.Seen + skew) & maps.TickMask; ticks > skew {
		return ticks - skew
	}
	return 0
}

// timeout that counts for an entry: a session that was reset ends as one that closes.
func (w *walk) timeout(flow maps.Flow, p maps.Protocol) uint32 {
	b, _ := w.k.Backend(w.family, flow.Backend)
	s, _ := w.k.Service(b.Service)
	if wasReset(flow) {
		return s.Timeouts.For(p, maps.Closing)
	}
	return s.Timeouts.For(p, flow.State)
}

func wasReset(flow maps.Flow) bool { return flow.State == maps.Evicting && flow.Fin }

// leaves: the operator's word, or its backend's loss, takes the entry from its backend.
func (w *walk) leaves(flow maps.Flow) bool {
	return flow.State == maps.Evicting || w.k.Lost(w.family, flow.Backend)
}

// startsAnew: whether a SYN, which is not the one sent again that the entry began with, is the first of another session.
func (w *walk) startsAnew(flow maps.Flow, idle uint32) bool {
	if flow.State == maps.HalfOpen || flow.State == maps.Closing {
		return true
	}
	b, _ := w.k.Backend(w.family, flow.Backend)
	s, _ := w.k.Service(b.Service)
	return idle >= s.ReuseAfter
}

// reset: one packet in can only be one packet out, so the backend is told first, then the client.
func (w *walk) reset(flow maps.Flow, state string) (bool, error) {
	b, _ := w.k.Backend(w.family, flow.Backend)
	from := fmt.Sprintf("on %s of %s (%s), which it leaves", w.server(flow.Backend), w.name(b.Generation), state)
	w.Pinned, w.Generation, w.Backends = true, b.Generation, []uint16{flow.Backend}
	if wasReset(flow) || w.k.Lost(w.family, flow.Backend) {
		w.say(StepPin, from+": the packet is answered with a RST, and the client connects anew")
		w.Verdict, w.Reason = Reset, "event_reset_client"
		return true, nil
	}
	w.say(StepPin, from+": the packet becomes a RST for that backend, and the next one is answered with a RST")
	_, err := w.hop()
	if w.Verdict == Forward {
		w.Verdict, w.Reason = Reset, "event_reset_backend"
	}
	return true, err
}

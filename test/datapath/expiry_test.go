package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// life is a state in which a flow falls silent, and for how long it may.
type life struct {
	name    string
	timeout uint32
	enter   func(w *world, f frame)
	packet  frame // flags of the packet that comes after the silence
}

func lives(proto uint8) []life {
	if proto == udp {
		return []life{
			{"new", standard[maps.UDPNew], func(w *world, f frame) { w.send(f) }, frame{}},
			{"established", standard[maps.UDP], func(w *world, f frame) { w.establish(f) }, frame{}},
		}
	}
	return []life{
		{"half-open", standard[maps.TCPHalfOpen], func(w *world, f frame) { w.send(f.flagged(syn)) }, frame{flags: syn}},
		{"established", standard[maps.TCP], func(w *world, f frame) { w.establish(f) }, frame{flags: ack}},
		{"closing", standard[maps.TCPClosing], func(w *world, f frame) { w.establish(f); w.send(f.flagged(rst)) }, frame{flags: ack}},
	}
}

// The longest silence that a timeout allows, across a flip, keeps the pin; one tick more and it is none, swept or not:
// a dead daemon changes nothing.
func TestExpiry(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		for i, l := range lives(f.proto) {
			t.Run(l.name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 3)
				g := f.at(uint16(100 + i))
				l.enter(w, g)
				before := w.pin(g)
				w.SetSteer(game, maps.Steer{Live: green})
				w.age(l.timeout)
				w.wantColour(g.flagged(l.packet.flags), blue)
				w.age(l.timeout)
				l.enterAgain(w, g)
				w.checkRevival(g.flagged(l.packet.flags), before)
			})
		}
	})
}

// enterAgain makes the flow expire by one tick, in its present state.
func (l life) enterAgain(w *world, f frame) {
	w.tb.Helper()
	flow := w.pin(f)
	old := w.Meta(flow.Family, flow.Slot)
	w.SwapMeta(flow.Family, flow.Slot, old, old.WithSeen(-standardOf(f.proto, flow.State)-1))
}

func standardOf(proto uint8, s maps.FlowState) uint32 {
	return standard.For(maps.Protocol(proto), s)
}

// checkRevival: the packet begins anew, in the flow's own slot.
func (w *world) checkRevival(f frame, before maps.Flow) {
	w.tb.Helper()
	want := moves{"green.new": 1}
	if f.proto == tcp && f.flags != syn {
		want = moves{"green.orphans": 1}
	}
	w.expectMoves(want, func() { w.wantColour(f, green) })
	if after := w.pin(f); after.Slot != before.Slot || after.State != maps.HalfOpen {
		w.tb.Errorf("revived as %+v, it was %+v", after, before)
	}
}

// The first flow of a backend and a VIP is judged by what its service says, later ones by heart.
func TestTheSweeperFreesJustWhatHasExpired(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		for _, l := range lives(f.proto) {
			t.Run(l.name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 3)
				const alike = 20
				for i := range uint16(alike) {
					l.enter(w, f.at(i))
				}
				w.silence(l.timeout)
				if s := w.total(); s.Used != alike || s.Freed != 0 {
					t.Errorf("at its timeout: %+v", s)
				}
				w.silence(l.timeout + 1)
				if s := w.total(); s.Used != 0 || s.Freed != alike {
					t.Errorf("past its timeout: %+v", s)
				}
				if n := len(w.pins()); n != 0 {
					t.Errorf("%d entries left", n)
				}
			})
		}
	})
}

// silence makes every flow one that was seen so many ticks ago.
func (w *world) silence(ticks uint32) {
	w.tb.Helper()
	for flow := range w.Flows() {
		old := w.Meta(flow.Family, flow.Slot)
		if !w.SwapMeta(flow.Family, flow.Slot, old, old.WithSeen(-ticks)) {
			w.tb.Fatalf("age %v: its word changed", flow)
		}
	}
}

// Timeouts are changed in place: flows that are there already follow.
func TestAChangedTimeoutHoldsForFlowsThatAreThere(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.send(f.flagged(syn))
		w.age(20)
		w.PutService(game, maps.Service{Name: "game", ReuseAfter: reuseAfter, Timeouts: maps.Timeouts{5, 5, 5, 5, 5}})
		if s := w.total(); s.Freed != 1 {
			t.Errorf("%+v, want one freed", s)
		}
	})
}

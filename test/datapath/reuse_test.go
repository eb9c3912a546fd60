package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// A client that lost power keeps its port; nobody sees an end. Before reuse_after its SYN keeps the pin and is counted;
// after it, it is a new session.
func TestASYNOnAnEstablishedFlow(t *testing.T) {
	for _, silence := range []uint32{0, 10, 31, reuseAfter - 1} {
		eachFamily(t, func(t *testing.T, w *world, f frame) {
			w.establish(f)
			w.flip(green)
			w.age(silence)
			w.expectMoves(moves{"blue.reopened": 2}, func() {
				w.wantColour(f.flagged(syn), blue)
				w.wantColour(f.flagged(syn), blue)
			})
		})
	}
}

func TestASYNAfterReuseAfterIsANewSession(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.flip(green)
		w.age(reuseAfter)
		w.expectMoves(moves{"green.new": 1}, func() { w.wantColour(f.flagged(syn), green) })
		w.wantState(f, maps.HalfOpen)
		w.pins()
	})
}

// SYNs do not count as the session's traffic: who wants the port gets it after reuse_after, however often it asks.
func TestSYNsSentAgainDoNotPutReuseOff(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.flip(green)
		for range 3 {
			w.age(reuseAfter / 3)
			w.to(f.flagged(syn))
		}
		if c, err := w.Counters(green); err != nil || c.New != 1 {
			t.Errorf("%d new sessions on green (%v), want 1", c.New, err)
		}
	})
}

func TestALostFINThenAWholeNewConnection(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.flip(green)
		w.age(31)
		w.expectMoves(moves{"blue.reopened": 1}, func() {
			w.wantColour(f.flagged(syn), blue)
			w.wantColour(f.flagged(ack), blue)
			w.wantColour(f.flagged(ack|psh).with([]byte("hello")), blue)
		})
	})
}

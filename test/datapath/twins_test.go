package datapath

import (
	"sync/atomic"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// Two CPUs get the first packets of one flow at the same moment: one pin, one new session, both packets at one backend.
// The flow is new, or its old entry is closing, or expired.
func TestTwoFirstPacketsAtOnceMakeOneSession(t *testing.T) {
	for name, before := range map[string]func(w *world, f frame){
		"a new flow": func(*world, frame) {},
		"a closing one": func(w *world, f frame) {
			w.send(f.flagged(syn))
			w.force(f, maps.Closing, 0)
		},
		"a silent one": func(w *world, f frame) {
			w.send(f.flagged(syn))
			w.force(f, maps.Established, reuseAfter)
		},
		"an expired one": func(w *world, f frame) {
			w.send(f.flagged(syn))
			w.force(f, maps.HalfOpen, standard[maps.TCPHalfOpen]+1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, w *world, f frame) {
				for round := range uint16(300) {
					before(w, f.at(round))
					w.twins(round, f.at(round))
					if round%100 == 99 {
						w.pins()
						w.free()
					}
				}
				checkReleased(t, w)
			})
		})
	}
}

func (w *world) twins(round uint16, f frame) {
	w.tb.Helper()
	before, err := w.Counters(blue)
	w.must(err)
	in := f.flagged(syn).bytes()
	var waiting atomic.Int32
	var got [2]uint16
	onTwoCPUs(w.tb, func(cpu int) error {
		for waiting.Add(1); waiting.Load() < 2; {
		}
		_, out := w.run(w.tb, in)
		got[cpu] = backendOf(out)
		return nil
	})
	after, err := w.Counters(blue)
	w.must(err)
	if n := after.New - before.New; n != 1 {
		w.tb.Fatalf("round %d: %d new sessions", round, n)
	}
	if got[0] != got[1] && got[0] != 0 && got[1] != 0 {
		w.tb.Fatalf("round %d: backends %d and %d", round, got[0], got[1])
	}
}

// free ends every flow.
func (w *world) free() {
	for f := range w.Flows() {
		old := w.Meta(f.Family, f.Slot)
		w.SwapMeta(f.Family, f.Slot, old, old&(0x3fff<<8)&-maps.Meta(f.Family)) // claims outlive the entry in IPv6
	}
}

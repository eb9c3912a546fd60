package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// expectTroubles checks what went wrong with blue's sessions meanwhile.
func (w *world) expectTroubles(want maps.Troubles, do func()) {
	w.tb.Helper()
	before, _, err := w.Troubles(blue)
	w.must(err)
	do()
	after, counted, err := w.Troubles(blue)
	w.must(err)
	got := maps.Troubles{
		NeverEstablished: after.NeverEstablished - before.NeverEstablished, Resets: after.Resets - before.Resets,
		SYNRetransmits: after.SYNRetransmits - before.SYNRetransmits,
	}
	if !counted || got != want {
		w.tb.Errorf("troubles %+v (counted: %t), want %+v", got, counted, want)
	}
}

func TestASYNSentAgainIsCounted(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.send(f.flagged(syn))
		w.expectTroubles(maps.Troubles{SYNRetransmits: 1}, func() { w.send(f.flagged(syn)) })
		w.age(1)
		w.expectTroubles(maps.Troubles{SYNRetransmits: 1}, func() { w.send(f.flagged(syn)) })
		w.send(f.flagged(ack))
		w.expectTroubles(maps.Troubles{}, func() { w.send(f.flagged(syn)) })
	})
}

func TestAResetIsCountedOnce(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.expectTroubles(maps.Troubles{Resets: 1}, func() { w.send(f.flagged(rst), f.flagged(rst)) })
		w.send(f.with([]byte("still here")).flagged(ack | psh))
		w.expectTroubles(maps.Troubles{}, func() { w.send(f.flagged(fin|ack), f.flagged(rst)) })
	})
}

// Whatever ends a half-open session: its time, a reset, the next connection from its port.
func TestASessionThatNeverTookASecondStepIsCountedOnce(t *testing.T) {
	for name, row := range map[string]struct {
		want maps.Troubles
		end  func(w *world, f frame)
	}{
		"its time, seen by the sweeper": {maps.Troubles{NeverEstablished: 1}, func(w *world, _ frame) {
			w.age(standard[maps.TCPHalfOpen] + 1)
			w.mustSweep(w.tb)
		}},
		"its time, seen by the next SYN": {maps.Troubles{NeverEstablished: 1}, func(w *world, f frame) {
			w.age(standard[maps.TCPHalfOpen] + 1)
			w.send(f.flagged(syn), f.flagged(ack))
		}},
		"a reset": {maps.Troubles{NeverEstablished: 1, Resets: 1}, func(w *world, f frame) { w.send(f.flagged(rst)) }},
		"another connection": {maps.Troubles{NeverEstablished: 1}, func(w *world, f frame) {
			g := f.flagged(syn)
			g.seq += 77777
			w.send(g, f.flagged(ack))
		}},
		"nothing: it went on": {maps.Troubles{Resets: 1}, func(w *world, f frame) { w.send(f.flagged(ack), f.flagged(rst)) }},
	} {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, w *world, f frame) {
				w.expectTroubles(row.want, func() {
					w.send(f.flagged(syn))
					row.end(w, f)
					w.age(standard[maps.TCPClosing] + 1)
					w.mustSweep(t)
					w.mustSweep(t)
				})
			})
		})
	}
}

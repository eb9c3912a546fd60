package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

var midstream = map[string]uint8{"ACK": ack, "data": ack | psh, "SYN and ACK": syn | ack, "FIN": fin | ack, "RST": rst}

// An orphan goes to the generation live before while that drains, to the live one when it is sealed. It is pinned and
// counted as an orphan, never as a new session.
func TestOrphans(t *testing.T) {
	for name, flags := range midstream {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, w *world, f frame) {
				w.expectMoves(moves{"blue.orphans": 1}, func() { w.wantColour(f.at(1).flagged(flags), blue) })
				w.flip(green)
				w.expectMoves(moves{"blue.orphans": 1}, func() { w.wantColour(f.at(2).flagged(flags), blue) })
				w.SetSteer(game, maps.Steer{Live: green, Draining: true}) // sealed
				w.expectMoves(moves{"green.orphans": 1}, func() { w.wantColour(f.at(3).flagged(flags), green) })
				w.expectMoves(moves{}, func() {
					w.wantColour(f.at(1).flagged(ack), blue)
					w.wantColour(f.at(2).flagged(ack), blue)
					w.wantColour(f.at(3).flagged(ack), green)
				})
			})
		})
	}
}

func TestAnOrphanThatEndsSomethingBeginsAsClosing(t *testing.T) {
	for name, flags := range midstream {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, w *world, f frame) {
				w.send(f.flagged(flags))
				want := maps.HalfOpen
				if flags&(fin|rst) != 0 {
					want = maps.Closing
				}
				w.wantState(f, want)
			})
		})
	}
}

// An orphan goes where its generation's own table would have put it: with the flows lost but nothing else, every
// session finds its backend again.
func TestOrphansFindTheirBackendAgain(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		first := map[uint16]uint16{}
		for port := range uint16(64) {
			first[port] = w.to(f.at(port).flagged(syn))
		}
		w.age(standard[maps.TCPHalfOpen] + 1)
		w.mustSweep(t)
		w.flip(green)
		for port, id := range first {
			if got := w.to(f.at(port).flagged(ack)); got != id {
				t.Errorf("port %d went to %d, now to %d", port, id, got)
			}
		}
	})
}

// Datagrams have no mid-stream: what has no pin is new.
func TestADatagramIsNeverAnOrphan(t *testing.T) {
	for _, fam := range maps.Families() {
		w := mustWorld(t, options{flows: 1000}, 3)
		w.flip(green)
		w.expectMoves(moves{"green.new": 1}, func() { w.wantColour(gameDatagram(fam), green) })
	}
}

// When the previous generation has nobody left who takes an orphan, the live one does.
func TestAnOrphanOfAnEmptyPool(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.must(w.PutMaglev(blue, f.family(), nil))
		w.flip(green)
		w.expectMoves(moves{"green.orphans": 1}, func() { w.wantColour(f.flagged(ack), green) })
	})
}

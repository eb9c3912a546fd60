package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// guards are what keeps a drain's proof from being wrong.
type guards struct {
	name    string
	seal    bool
	barrier barrier
	missed  bool // a pass that saw a slot being written proves nothing
}

// An orphan meets the drain: it has read that orphans go to blue, and has not yet published its pin, when the first sweep
// is over; or it comes once the drain has said drained. With the seal and a barrier nothing uses blue after that; without
// the seal something does, as without all that waits for the packets under way.
func TestWithoutTheSealOrTheBarrierADrainsProofIsWrong(t *testing.T) {
	whole := []guards{{"whole", true, barriers[0], true}, {"with a grace period", true, barriers[1], true}}
	// Each of these alone is enough for the packets under way.
	whole = append(whole, guards{"without a look at what the sweep missed", true, barriers[0], false}, guards{"without the barrier", true, none, true})
	broken := []guards{{"without the seal", false, barriers[0], true}, {"without either", true, none, false}}
	for _, f := range maps.Families() {
		for i, g := range append(whole, broken...) {
			t.Run(g.name+", "+familyName(f), func(t *testing.T) {
				w, foul := mustWorld(t, slowPin, 1), 0
				rounds := uint16(20)
				if i >= len(whole) {
					rounds = 400 // until one goes wrong: what has to be met is a moment
				}
				for round := range rounds {
					foul += w.drainUnder(gamePacket(f, ack).at(round), g)
					if i >= len(whole) && foul > 0 {
						break
					}
				}
				if i < len(whole) && foul != 0 {
					t.Errorf("%d orphans went to blue after it had been said to be drained", foul)
				}
				if i >= len(whole) && foul == 0 {
					t.Error("nothing went wrong: this test sees nothing")
				}
			})
		}
	}
}

// drainUnder drains blue, of which nothing is left, while an orphan is under way, and has another one come after. It
// returns how many of them were pinned to blue after the drain had said drained.
func (w *world) drainUnder(orphan frame, g guards) int {
	w.tb.Helper()
	w.age(2 * standard[maps.TCP]) // what came before is over
	w.flip(green)
	if left, err := w.left(g); left || err != nil {
		w.tb.Fatalf("blue has sessions before anything came: %t, %v", left, err)
	}
	drained, said := false, maps.Counters{}
	w.beside(orphan, func() (err error) {
		if drained, err = w.drained(g); err == nil {
			said, err = w.Counters(blue)
		}
		return err
	})
	w.run(w.tb, orphan.at(40_000).bytes())
	after, err := w.Counters(blue)
	w.must(err)
	if !drained {
		return 0
	}
	return int(after.Orphans - said.Orphans)
}

// drained drains blue, and says whether nothing is left of it. Without a seal nobody looks.
func (w *world) drained(g guards) (bool, error) {
	if g.seal {
		w.SetSteer(game, maps.Steer{Live: green, Draining: true})
	}
	if err := g.barrier.wait(w); err != nil || !g.seal {
		return true, err
	}
	left, err := w.left(g)
	return !left, err
}

// left says whether a sweep finds sessions on blue, or cannot tell.
func (w *world) left(g guards) (bool, error) {
	s, err := w.RunSweep(w.sweeper)
	for id, n := range s.Sessions {
		if id/10 == blue && n.Total() > 0 {
			return true, err
		}
	}
	return g.missed && s.Missed > 0, err
}

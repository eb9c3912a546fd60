package tunnel

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/test/lab"
)

// players of each run: every one has a session at each endpoint.
const players = 4

// Players whose packets travel in every kind of outer header, by links of every kind, notice nothing of a flip; what is
// on the links is what was asked for.
func TestPlayersTalkThroughAFlip(t *testing.T) {
	s := mustStage(t, 0)
	ears := s.listen(t)
	s.serveLarge(t)
	s.fleet.Add(t.Context(), players, s.role())
	s.fleet.Exchange(2)
	s.sendLarge(t, netip.Addr.IsValid)
	s.flip(t)
	s.fleet.Add(t.Context(), players, s.role())
	s.fleet.Exchange(2)
	s.sendLarge(t, netip.Addr.Is4) // IPv6 is in IPv6 as before

	totals := s.fleet.Totals()
	each := players * len(s.endpoints)
	if totals.Broken != 0 || totals.Colours["blue"] != each || totals.Colours["green"] != each {
		drops, err := s.lab.Drops()
		t.Errorf("%+v, want %d sessions of each colour and none broken; lost by the lab itself: %v (%v)", totals, each, drops, err)
	}
	if faults := s.world.Faults(); len(faults) != 0 {
		t.Errorf("servers saw %d faults: %q", len(faults), faults[:min(len(faults), 8)])
	}
	t.Logf("figures: %d flows steered, %d sessions crossed a flip, %d broke", s.steered(t), totals.Colours["blue"], totals.Broken)
	ears.check(t)
}

// Bare hosts are made backends by what `ebbtide backend setup --mode ipip --apply` does.
func TestPlayersTalkToBackendsThatWereSetUp(t *testing.T) {
	s := mustStageOf(t, 0, true)
	s.fleet.Add(t.Context(), 1, s.role())
	s.flip(t)
	s.fleet.Add(t.Context(), 1, s.role())
	s.fleet.Exchange(1)
	if totals := s.fleet.Totals(); totals.Broken != 0 || totals.Colours["blue"] != len(s.endpoints) || totals.Colours["green"] != len(s.endpoints) {
		t.Errorf("%+v, want %d sessions of each colour and none broken", totals, len(s.endpoints))
	}
}

func TestWithPinningTakenOutAFlipBreaksPlayers(t *testing.T) {
	s := mustStage(t, bpftest.ProgramRuleRULE_PIN|bpftest.ProgramRuleRULE_ORPHAN)
	s.fleet.Add(t.Context(), 1, s.role())
	s.fleet.Exchange(1)
	if totals := s.fleet.Totals(); totals.Broken != 0 {
		t.Fatalf("broken before the flip: %q", totals.Reasons)
	}
	s.flip(t)
	// Answers that were on their way break nobody.
	lab.Eventually(t, "all sessions to be broken without pins: else the other test sees nothing", func() bool {
		return s.broken() == len(s.endpoints)
	})
	t.Logf("figures: with pins taken out %d of %d sessions broke", s.broken(), len(s.endpoints))
}

// broken counts the sessions that noticed something.
func (s *stage) broken() (n int) {
	for _, p := range s.fleet.Playing() {
		for _, r := range p.Reports() {
			if len(r.Broken) != 0 {
				n++
			}
		}
	}
	return n
}

package e2e

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestAThousandPlayersTalkThroughAFlip(t *testing.T) {
	rows := []struct {
		name string
		set  setting
	}{
		{"dsr/v4", setting{forwarding: lab.DSR, arms: lab.OneArm, vips: []netip.Addr{lab.VIP4}}},
		{"dsr/v6", setting{forwarding: lab.DSR, arms: lab.TwoArms, vips: []netip.Addr{lab.VIP6}}},
		{"nat/v4", setting{forwarding: lab.NAT, arms: lab.TwoArms, vips: []netip.Addr{lab.VIP4}}},
		{"nat/v6", setting{forwarding: lab.NAT, arms: lab.OneArm, vips: []netip.Addr{lab.VIP6}}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.set.timeouts = calm
			s := mustStage(t, row.set)
			flipped := s.talkThroughAFlip(t, 1000)
			s.mustBeWhole(t)
			opened := s.fleet.OpenedAfter(flipped, &s.world.Log)
			if len(opened) != 1 || opened["green"] < 400 {
				t.Errorf("sessions opened after the flip: %v, want at least 400, all on green", opened)
			}
			s.fleet.Logout(len(s.fleet.Playing()))
			s.mustBeWhole(t)
			s.mustPlayOn(t, nil)
		})
	}
}

func TestWithPinningTakenOutAFlipBreaksPlayers(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{leaveOut: bpftest.ProgramRuleRULE_PIN | bpftest.ProgramRuleRULE_ORPHAN})
	s.fleet.Add(t.Context(), 20, s.brisk())
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	s.flip(t)
	// Answers that were on their way break nobody.
	eventually(t, "all players to be broken without pins: else this test sees nothing", func() bool {
		totals := s.fleet.Totals()
		return totals.Broken == totals.Players
	})
}

// talkThroughAFlip has n players on blue, some who log in while the flip is made, and 200 who come after it. It returns
// when the flip had returned.
func (s *stage) talkThroughAFlip(t *testing.T, n int) time.Time {
	t.Helper()
	s.fleet.Add(t.Context(), n, s.role())
	s.fleet.Exchange(2)
	s.mustPlayOn(t, map[string]int{"blue": 2 * n})
	var logins sync.WaitGroup
	logins.Go(func() { s.fleet.Add(t.Context(), 50, s.role()) })
	result := s.flip(t)
	flipped := time.Now()
	logins.Wait()
	if result.NewOnOld != 0 || result.SessionsOnOld < uint64(2*n) || result.SessionsOnOld > uint64(2*n+100) {
		t.Errorf("the flip's proof: %+v; want no new session on blue, and %d and those who were logging in there", result, 2*n)
	}
	s.fleet.Add(t.Context(), 200, s.role())
	s.fleet.Exchange(2)
	if blue := s.fleet.Totals().Colours["blue"]; blue < 2*n || blue > 2*n+100 {
		t.Errorf("%d sessions on blue after the flip, want those %d who were there, and some who were logging in", blue, 2*n)
	}
	return flipped
}

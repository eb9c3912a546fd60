package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestWhileTheDaemonIsStoppedSessionsGoOnAndNewOnesCome(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	s.fleet.Add(t.Context(), 5, s.brisk())
	s.fleet.Exchange(2)
	s.flip(t)
	s.fleet.Add(t.Context(), 5, s.brisk())
	if err := s.host.Stop(); err != nil {
		t.Fatal(err)
	}
	s.fleet.Add(t.Context(), 5, s.brisk())
	for begun := time.Now(); time.Since(begun) < 13*time.Second; { // longer than the timeouts of those who are silent
		s.fleet.Exchange(1)
	}
	s.mustBeWhole(t)
	s.mustPlayOn(t, map[string]int{"blue": 20, "green": 40})
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := s.generation(t, blue); g.State != api.StateDraining || g.NewSinceFlip != 0 {
		t.Errorf("blue is %s with %d new sessions since the flip, want draining with 0", g.State, g.NewSinceFlip)
	}
	w := s.watchDrain(t)
	s.fleet.Add(t.Context(), 5, s.brisk())
	s.fleet.Exchange(2)
	s.mustPlayOn(t, map[string]int{"blue": 20, "green": 60})
	w.mustWait(t)
	s.fleet.Logout(5)
	w.mustEnd(t)
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
}

package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// watch is a drain that somebody waits for: over has what the wait ended with.
type watch struct {
	over chan error
	last api.DrainProgress // valid when over has been read
}

func (s *stage) watchDrain(t *testing.T) *watch {
	t.Helper()
	w := &watch{over: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() {
		w.over <- s.host.Client.WatchDrain(ctx, api.DrainRequest{Service: service}, func(p api.DrainProgress) error {
			w.last = p
			return nil
		})
	}()
	return w
}

// mustWait checks that nobody has been told yet that the drain is over.
func (w *watch) mustWait(t *testing.T) {
	t.Helper()
	select {
	case err := <-w.over:
		t.Fatalf("the wait for the drain ended while sessions were there: %v, %+v", err, w.last)
	default:
	}
}

// mustEnd waits until the drain is over, and drained.
func (w *watch) mustEnd(t *testing.T) {
	t.Helper()
	if err := <-w.over; err != nil {
		t.Fatal(err)
	}
	if !w.last.Done || w.last.State != api.StateDrained || w.last.Left.Total != 0 {
		t.Errorf("the drain ended with %+v, want it drained", w.last)
	}
}

func TestDrainIsOverWhenTheLastSessionHasEndedAndNotBefore(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{forwarding: forwarding, networks: []string{"tcp"}})
			const sessions = 6
			players := s.fleet.Add(t.Context(), sessions, s.brisk())
			s.fleet.Exchange(2)
			s.flip(t)
			w := s.watchDrain(t)
			for i, p := range players {
				s.mustCount(t, sessions-i)
				w.mustWait(t)
				s.leave(t, p, i)
			}
			w.mustEnd(t)
			if n := s.generation(t, blue).Sessions.Total; n != 0 {
				t.Errorf("status has %d sessions on a drained generation", n)
			}
			s.mustBeWhole(t)
		})
	}
}

// mustCount checks that the kernel's count of blue sessions that have not begun to close is the number of sockets that
// the backends hold; and that in time those that were closing are gone from the count.
func (s *stage) mustCount(t *testing.T, want int) {
	t.Helper()
	if open := s.world.Open()["blue"]; open != want {
		t.Fatalf("the blue backends hold %d sessions, want %d", open, want)
	}
	s.swept(t)
	if n := s.generation(t, blue).Sessions; n.Total-n.Closing != uint64(want) {
		t.Errorf("status has %+v on blue, want %d that are not closing", n, want)
	}
	eventually(t, fmt.Sprintf("a count of %d", want), func() bool {
		return s.generation(t, blue).Sessions.Total == uint64(want)
	})
}

// leave ends a player's session in one of three ways: from his side, by a reset, by the server.
func (s *stage) leave(t *testing.T, p *game.Player, way int) {
	t.Helper()
	r := p.Reports()[0]
	server := s.world.Server(r.Backend)
	before, _ := server.Open()
	switch way % 3 {
	case 0:
		p.Logout()
	case 1:
		p.Reset()
	case 2:
		if err := server.Kick(r.Client); err != nil {
			t.Fatal(err)
		}
		p.Sessions()[0].Wait(func(r game.Report) bool { return r.Over })
	}
	server.Wait(func(tcp, _ int) bool { return tcp == before-1 })
}

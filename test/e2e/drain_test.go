package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

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
	select {
	case err := <-w.over:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(forEver):
		t.Fatal("waited in vain for the drain to end")
	}
	if !w.last.Done || w.last.State != api.StateDrained || w.last.Left.Total != 0 {
		t.Errorf("the drain ended with %+v, want it drained", w.last)
	}
}

func TestDrainIsOverWhenTheLastSessionHasEndedAndNotBefore(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		network string
		set     setting
	}{
		{"tcp/dsr/v4", "tcp", setting{forwarding: lab.DSR}},
		{"tcp/nat/v4", "tcp", setting{forwarding: lab.NAT}},
		{"tcp/dsr/v6", "tcp", setting{forwarding: lab.DSR, vips: []netip.Addr{lab.VIP6}}},
		{"udp/nat/v6", "udp", setting{forwarding: lab.NAT, vips: []netip.Addr{lab.VIP6}}},
		{"udp/dsr/v4", "udp", setting{forwarding: lab.DSR}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.set.networks = []string{row.network}
			s := mustStage(t, row.set)
			const sessions = 6
			players := s.fleet.Add(t.Context(), sessions, s.brisk())
			s.fleet.Exchange(2)
			s.flip(t)
			w := s.watchDrain(t)
			tab := s.table(t)
			for i, p := range players {
				s.mustCount(t, sessions-i)
				w.mustWait(t)
				if row.network == "udp" {
					s.fallSilent(t, tab, p)
				} else {
					s.leave(t, p, i)
				}
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

// fallSilent ends a player's session over UDP, and lets its timeout pass.
func (s *stage) fallSilent(t *testing.T, tab table, p *game.Player) {
	t.Helper()
	r := p.Reports()[0]
	server := s.world.Server(r.Backend)
	_, before := server.Open()
	p.Logout()
	server.Wait(func(_, udp int) bool { return udp == before-1 })
	tab.quieten(t, r.Client, 100)
}

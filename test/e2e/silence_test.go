package e2e

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestSessionsThatFallSilentOrNeverOpenDrainAfterTheirTimeout(t *testing.T) {
	t.Parallel()
	// Those who fall silent first are still there when status is asked.
	const timeouts = "{tcp: 60s, tcp_half_open: 20s, tcp_closing: 2s, udp: 20s, udp_new: 20s, reuse_after: 20s}"
	s := mustStage(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}, timeouts: timeouts})
	wire := s.wire(t)
	talker := s.fleet.Add(t.Context(), 1, s.brisk())[0] // one session at each of four endpoints
	for i := range 8 {
		s.silentUDP(t)
		s.halfOpen(t, wire, uint16(20000+i))
	}
	s.fleet.Exchange(2)
	s.flip(t)
	if n := s.generation(t, blue).Sessions; n.HalfOpen != 16 || n.Total != 36 {
		t.Errorf("status has %+v on blue, want 16 half open of 36", n)
	}
	for _, l := range s.serviceStatus(t, service).Listeners {
		if l.Sessions != 9 {
			t.Errorf("status has %d sessions of the listener %s %s, want 9", l.Sessions, l.VIP, l.Protocol)
		}
	}
	w := s.watchDrain(t)
	eventually(t, "those who are silent to leave the count", func() bool {
		return s.generation(t, blue).Sessions.Total == 4
	})
	w.mustWait(t)
	s.mustBeWhole(t)
	talker.Logout()
	w.mustEnd(t)
	s.mustBeWhole(t)
}

func TestASilentSessionIsCountedUntilItsTimeoutAndNotLonger(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}, timeouts: calm})
	tab, wire := s.table(t), s.wire(t)
	silent := s.silentUDP(t)
	s.halfOpen(t, wire, 20000)
	half := []netip.AddrPort{nobody(lab.VIP4, 20000), nobody(lab.VIP6, 20000)}
	s.flip(t)
	w := s.watchDrain(t)
	for i, c := range []struct {
		clients []netip.AddrPort
		timeout time.Duration
	}{{half, 10 * time.Minute}, {silent, time.Hour}} {
		for _, client := range c.clients {
			tab.fallSilent(t, client, c.timeout-time.Minute) // a minute is longer than it takes to look
		}
		s.swept(t)
		if n := s.generation(t, blue).Sessions; n.Total != uint64(4-2*i) {
			t.Errorf("status has %+v on blue before the timeout of %v, want %d", n, c.clients, 4-2*i)
		}
		w.mustWait(t)
		for _, client := range c.clients {
			tab.fallSilent(t, client, c.timeout+time.Minute)
		}
		eventually(t, "those whose timeout has passed to leave the count", func() bool {
			return s.generation(t, blue).Sessions.Total == uint64(2-2*i)
		})
	}
	w.mustEnd(t)
}

// silentUDP opens a UDP session of each family that has two answers and then says no more.
func (s *stage) silentUDP(t *testing.T) (clients []netip.AddrPort) {
	t.Helper()
	for _, e := range s.endpoints {
		if e.Network != "udp" {
			continue
		}
		session, err := game.Open(t.Context(), s.lab.Client, netip.AddrPort{}, e)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(session.Reset)
		for range 2 {
			if err := session.Ask(); err != nil {
				t.Fatal(err)
			}
		}
		clients = append(clients, session.Report().Client)
	}
	return clients
}

// halfOpen sends a SYN of each family, and nothing after it.
func (s *stage) halfOpen(t *testing.T, w *wire, from uint16) {
	t.Helper()
	for _, e := range s.endpoints {
		if e.Network == "tcp" {
			c := &stranger{wire: w, from: nobody(e.Addr.Addr(), from), to: e.Addr, seq: 1000}
			c.says(t, syn)
			c.hears(t, syn|ack)
		}
	}
}

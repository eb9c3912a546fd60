package e2e

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestSessionsThatFallSilentOrNeverOpenDrainAfterTheirTimeout(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}})
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

// silentUDP opens a UDP session of each family that has two answers and then says no more.
func (s *stage) silentUDP(t *testing.T) {
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
	}
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

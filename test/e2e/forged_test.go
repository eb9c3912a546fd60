package e2e

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestForgedResetsAndFinsEndNoSession(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{forwarding: forwarding, networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}})
			wire, tab := s.wire(t), s.table(t)
			for range 2 {
				s.fleet.Add(t.Context(), 5, s.brisk())
				s.fleet.Exchange(2)
			}
			s.forge(t, wire, tab)
			s.fleet.Exchange(2)
			s.flip(t)
			s.forge(t, wire, tab)
			s.fleet.Exchange(40) // longer than the closing timeout
			s.mustBeWhole(t)
			s.mustPlayOn(t, map[string]int{"blue": 20})
			if n := s.generation(t, blue).Sessions; n.Total != 20 {
				t.Errorf("status has %+v on blue, want 20", n)
			}
		})
	}
}

// forge sends in the name of every session a RST and a FIN that its server does not believe, and sees to it that they
// were taken for what they say.
func (s *stage) forge(t *testing.T, w *wire, tab table) {
	t.Helper()
	closing := false
	for _, p := range s.fleet.Playing() {
		for _, session := range p.Sessions() {
			r := session.Report()
			for _, flags := range []uint8{rst, rst | ack, fin | ack} {
				w.send(t, frame{from: r.Client, to: s.vipOf(r), proto: tcp, flags: flags, seq: 0xdead, ack: 0xbeef})
				closing = closing || tab.state(r.Client) == "closing"
			}
		}
	}
	if !closing {
		t.Error("no forged segment marked a flow as closing: they did not arrive, and this test sees nothing")
	}
}

// vipOf is the endpoint that a session's client must have dialled.
func (s *stage) vipOf(r game.Report) netip.AddrPort {
	for _, e := range s.endpoints {
		if e.Network == r.Network && e.Addr.Addr().Is4() == r.Client.Addr().Is4() {
			return e.Addr
		}
	}
	panic("a session of no endpoint")
}

package e2e

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestAPortReusedAfterAFinOrARstGoesToTheNewColourAtOnce(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, timeouts: calm, noWorld: true, vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	doors, wire := s.doors(t), s.wire(t)
	var all []*stranger
	for _, e := range s.endpoints {
		for i, end := range []uint8{fin | ack, rst} {
			c := &stranger{wire: wire, from: nobody(e.Addr.Addr(), uint16(22001+i)), to: e.Addr, seq: 5000}
			s.enters(t, c, doors, "blue")
			c.says(t, end)
			all = append(all, c)
		}
	}
	s.flip(t)
	for _, c := range all {
		c.seq = 900_000
		s.enters(t, c, doors, "green")
	}
	if g := s.generation(t, blue); g.NewSinceFlip != 0 || g.ReopenedSinceFlip != 0 {
		t.Errorf("blue counts %d new and %d reopened since the flip, want none", g.NewSinceFlip, g.ReopenedSinceFlip)
	}
}

// enters makes a handshake, which a backend of that colour has to accept.
func (s *stage) enters(t *testing.T, c *stranger, d doors, colour string) arrival {
	t.Helper()
	c.says(t, syn)
	c.accepted(t, c.hears(t, syn|ack))
	return d.admits(t, c.from, colour)
}

// A client whose FIN was lost, or who lost power, comes back from the same port: nothing told the load balancer that its
// session is over. Until reuse_after the SYN is the old colour's, and counted as reopened.
func TestAPortReusedAfterALostEndIsReopenedUntilReuseAfterAndNewFromThenOn(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, timeouts: calm, noWorld: true, vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	doors, wire, tab := s.doors(t), s.wire(t), s.table(t)
	var all []*stranger
	for _, e := range s.endpoints {
		c := &stranger{wire: wire, from: nobody(e.Addr.Addr(), 23001), to: e.Addr, seq: 5000}
		s.enters(t, c, doors, "blue")
		all = append(all, c)
	}
	s.flip(t)
	for _, c := range all {
		blue := c.seq
		c.seq = 900_000
		c.says(t, syn)
		if f := c.hears(t, ack); f.flags&syn != 0 || f.ack != blue {
			t.Errorf("%s: a SYN before reuse_after was answered by %+v, want the old server's word on the old session", c.from, f)
		}
	}
	if g := s.generation(t, blue); g.ReopenedSinceFlip != 2 || g.NewSinceFlip != 0 {
		t.Errorf("blue counts %d reopened and %d new since the flip, want 2 and 0", g.ReopenedSinceFlip, g.NewSinceFlip)
	}
	for _, c := range all {
		tab.quieten(t, c.from, 601) // calm has a reuse_after of ten minutes
		s.enters(t, c, doors, "green")
	}
	if g := s.generation(t, blue); g.ReopenedSinceFlip != 2 || g.NewSinceFlip != 0 {
		t.Errorf("blue counts %d reopened and %d new since the flip, want 2 and 0", g.ReopenedSinceFlip, g.NewSinceFlip)
	}
}

// With real stacks at both ends the client's machine answers the old server's word with a RST, so that its next SYN is
// new, long before reuse_after.
func TestAClientThatRebootsAndKeepsItsPortEndsOnTheNewColour(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, timeouts: calm})
	from := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.10"), 24001)
	ends := []func(*game.Session){(*game.Session).Reset, func(c *game.Session) {
		if err := c.Crash(); err != nil {
			t.Error(err)
		}
	}}
	for _, end := range ends {
		first := s.mustSessionFrom(t, from)
		old := first.Report().Colour
		end(first)
		s.flip(t)
		second := s.mustSessionFrom(t, from)
		if r := second.Report(); r.Colour == old || len(r.Broken) != 0 {
			t.Errorf("after the flip away from %s: %+v", old, r)
		}
		second.Reset()
		from = netip.AddrPortFrom(from.Addr(), from.Port()+1)
	}
	if faults := s.world.Faults(); len(faults) != 0 {
		t.Error(faults)
	}
}

// mustSessionFrom is a session from a port, with two answers.
func (s *stage) mustSessionFrom(t *testing.T, from netip.AddrPort) *game.Session {
	t.Helper()
	session, err := game.Open(t.Context(), s.lab.Client, from, s.endpoints[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Reset)
	s.mustAsk(t, session)
	s.mustAsk(t, session)
	return session
}

package e2e

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A packet in mid-stream that has no pin: to the colour that was live before while that drains, else to the live one.
func TestMidStreamPacketsWithoutAPinFollowTheOrphanRule(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	wire := s.wire(t)
	s.fleet.Add(t.Context(), 1, s.brisk())
	s.mustOrphan(t, wire, 25001, "blue") // nothing drains
	s.flip(t)
	s.mustOrphan(t, wire, 25002, "blue") // it drains
	counts := map[string]api.Generation{blue: s.generation(t, blue), green: s.generation(t, green)}
	if b, g := counts[blue], counts[green]; b.Orphans != 4 || b.NewSinceFlip != 0 || g.Orphans != 0 || g.New != 0 {
		t.Errorf("blue counts %d orphans and %d new since the flip, green %d and %d; want 4, 0, 0, 0", b.Orphans, b.NewSinceFlip, g.Orphans, g.New)
	}
	w := s.watchDrain(t)
	s.fleet.Logout(1)
	w.mustEnd(t)
	s.mustOrphan(t, wire, 25003, "green") // it is sealed
	if b, g := s.generation(t, blue), s.generation(t, green); b.Orphans != 4 || g.Orphans != 2 || g.New != 0 {
		t.Errorf("blue counts %d orphans, green %d, and %d new; want 4, 2, 0", b.Orphans, g.Orphans, g.New)
	}
	s.mustBeWhole(t)
}

// mustOrphan sends an ACK out of nowhere in each family. The server that gets it answers with RST, and in dsr by itself.
func (s *stage) mustOrphan(t *testing.T, w *wire, from uint16, colour string) {
	t.Helper()
	for _, e := range s.endpoints {
		c := &stranger{wire: w, from: nobody(e.Addr.Addr(), from), to: e.Addr, seq: 4000, ack: 77}
		c.says(t, ack, 'x')
		f := c.hears(t, rst)
		if b := s.backendOf(t, f.src); b.Colour != colour {
			t.Errorf("an orphan to %s came to %s, want %s", e.Addr, b.Name, colour)
		}
	}
}

// backendOf is the backend that a frame came from.
func (s *stage) backendOf(t *testing.T, mac [6]byte) *lab.Backend {
	t.Helper()
	for _, b := range s.lab.Backends {
		if mustMAC(t, b.NS, "eth0") == mac {
			return b
		}
	}
	t.Fatalf("a frame from %x, which is no backend's", mac)
	return nil
}

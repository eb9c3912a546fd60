package e2e

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// The handshake of a client may straddle a flip in two ways; either way one colour answers all of it.
func TestAHandshakeAcrossAFlipKeepsOneColour(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{
				forwarding: forwarding, networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, timeouts: calm, noWorld: true,
			})
			doors, wire := s.doors(t), s.wire(t)
			var again, once []*stranger
			for _, e := range s.endpoints {
				again = append(again, &stranger{wire: wire, from: nobody(e.Addr.Addr(), 21001), to: e.Addr, seq: 7000})
				once = append(once, &stranger{wire: wire, from: nobody(e.Addr.Addr(), 21002), to: e.Addr, seq: 8000})
			}
			answers := map[*stranger]frame{}
			for _, c := range append(again, once...) {
				c.says(t, syn)
				answers[c] = c.hears(t, syn|ack)
			}
			s.flip(t)
			for _, c := range again {
				c.says(t, syn)
				if f := c.hears(t, syn|ack); f.seq != answers[c].seq || f.src != answers[c].src {
					t.Errorf("%s: its second SYN was answered by another server", c.from)
				}
				c.accepted(t, answers[c])
				doors.admits(t, c.from, "blue")
			}
			for _, c := range once {
				c.accepted(t, answers[c])
				doors.admits(t, c.from, "blue")
			}
			if g := s.generation(t, blue); g.NewSinceFlip != 0 || g.ReopenedSinceFlip != 0 || g.Orphans != 0 {
				t.Errorf("blue counts %d new, %d reopened and %d orphans since the flip, want none", g.NewSinceFlip, g.ReopenedSinceFlip, g.Orphans)
			}
		})
	}
}

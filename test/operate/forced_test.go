package operate

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// The machines of the green pool are not there: nobody has their MAC.
func TestAFlipToAPoolThatCannotBeReachedIsRefusedUnlessForced(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{ghost: true, timeouts: calm})
	s.mustRun(t)
	s.awaitBlue(t)
	s.login(t, "blue")
	s.do(t, "flip", "world").mustBe(t, 5, "", "ebbtide: flip world: service world: "+green2+
		" has no usable ipv4 backend: none has a weight and a resolved next hop; see ebbtide status, or give --force\n")
	s.login(t, "blue")

	s.do(t, "flip", "world", "--force").mustBe(t, 0, proof(green2, blue1, "4"), "")
	before := s.scrape(t)[`ebbtide_drops_total{reason="unresolved"}`]
	s.knock(t, 3)
	lab.Eventually(t, "what cannot be sent on to be dropped and counted", func() bool {
		return s.scrape(t)[`ebbtide_drops_total{reason="unresolved"}`] == before+3
	})
	s.do(t, "rollback", "world").mustBe(t, 0, proof(blue1, green2, "3"), "")
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// awaitBlue waits until the backend that is there can be reached.
func (s *stage) awaitBlue(t *testing.T) {
	t.Helper()
	lab.Eventually(t, "the next hop of the backend that is there", func() bool {
		return s.generation(t, 1).Backends[0].NextHops[0].State == "resolved"
	})
}

// knock sends the first packet of n UDP sessions, and waits for no answer.
func (s *stage) knock(t *testing.T, n int) {
	t.Helper()
	for range n {
		conn, err := s.lab.Client.DialFrom(t.Context(), "udp", netip.AddrPort{}, game.UDP(lab.VIP4, port).Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := conn.Write([]byte("is anybody there?")); err != nil {
			t.Fatal(err)
		}
	}
}

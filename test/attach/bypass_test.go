package attach

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// The router of the lab is a client on the backends' own link here: what a backend answers goes straight to it.
func TestNATClientsOnTheBackendsOwnLinkAreSaid(t *testing.T) {
	t.Parallel()
	for _, vip := range []netip.Addr{lab.VIP4, lab.VIP6} {
		t.Run(map[bool]string{true: "v4", false: "v6"}[vip.Is4()], func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{lab: lab.Options{Forwarding: lab.NAT}})
			s.host.AwaitHops(t)
			s.play(t, 3)
			if p := s.host.Status(t).Services[0].Problem; p != "" {
				t.Errorf("with players from elsewhere only: %s", p)
			}
			ctx, stop := context.WithTimeout(t.Context(), lab.ForEver)
			defer stop()
			dialled := make(chan error, 1)
			go func() {
				conn, err := s.lab.Router.Dial(ctx, "tcp", netip.AddrPortFrom(vip, port))
				if err == nil {
					conn.Close()
				}
				dialled <- err
			}()
			lab.Eventually(t, "the problem to be said", func() bool {
				return strings.Contains(s.host.Status(t).Services[0].Problem, "is on the link of backend")
			})
			stop()
			if err := <-dialled; err == nil {
				t.Error("the router got a session: this test sees nothing")
			}
			s.fleet.Exchange(2)
			s.mustBeWhole(t, 3, 0)
		})
	}
}

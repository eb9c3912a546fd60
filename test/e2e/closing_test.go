package e2e

import (
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// The established timeout is an hour here: what leaves the table while this test lasts has left by the closing one.
func TestASessionClosedByEitherSideLeavesInTheClosingTimeout(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{
				forwarding: forwarding, networks: []string{"tcp"},
				timeouts: "{tcp: 1h, tcp_half_open: 10m, tcp_closing: 2s, udp: 1h, udp_new: 10m, reuse_after: 10m}",
			})
			tab := s.table(t)
			players := s.fleet.Add(t.Context(), 4, s.brisk())
			s.fleet.Exchange(2)
			for i, p := range players[:3] {
				s.leave(t, p, i)
				client := p.Reports()[0].Client
				eventually(t, "the flow of "+client.String()+" to be closing, or gone", func() bool {
					state := tab.state(client)
					return state == "closing" || state == ""
				})
				eventually(t, "the flow of "+client.String()+" to be gone", func() bool { return tab.state(client) == "" })
			}
			if state := tab.state(players[3].Reports()[0].Client); state != "young" && state != "established" {
				t.Errorf("the flow of the one who stayed is %q", state)
			}
			s.mustBeWhole(t)
		})
	}
}

package e2e

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A link that merges what it receives: with a program in generic mode the kernel leaves that, so that no packet is larger
// than the link takes, and none is answered as too big.
func TestGenericModeWithGRO(t *testing.T) {
	t.Parallel()
	set := setting{
		forwarding: lab.NAT, networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, noWorld: true,
		before: func(l *lab.Lab) error { return l.LB.SetGRO("eth0", true) },
	}.withDefaults()
	set.yaml = func(l *lab.Lab) string {
		return "xdp: generic\n" + host.YAML(l, set.forwarding, set.maxFlows, set.service(service, port))
	}
	s := mustStage(t, set)
	s.serveWith(t, takesBulk)
	for _, e := range s.endpoints {
		before := s.reasons(t)
		s.transfer(t, e.Addr, bulk, 1)
		after := s.reasons(t)
		for _, name := range []string{"event_too_big", "drop_too_big"} {
			if after[name] != before[name] {
				t.Errorf("%v: %s went from %d to %d", e.Addr, name, before[name], after[name])
			}
		}
	}
}

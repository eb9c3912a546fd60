package attach

import (
	"fmt"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// A packet that XDP sends never meets the host's stack: neither its forwarding nor its checks of the way back.
func TestTheHostsForwardingAndReversePathFilterPlayNoPartInNAT(t *testing.T) {
	t.Parallel()
	for _, arms := range []lab.Arms{lab.OneArm, lab.TwoArms} {
		t.Run(arms.String(), func(t *testing.T) {
			t.Parallel()
			s := mustSet(t, setting{lab: lab.Options{Forwarding: lab.NAT, Arms: arms}})
			s.mustSetHost(t, "net/ipv4/ip_forward", "0")
			s.mustSetHost(t, "net/ipv6/conf/all/forwarding", "0")
			for _, name := range append(s.lab.Interfaces(), "all", "default") {
				s.mustSetHost(t, fmt.Sprintf("net/ipv4/conf/%s/rp_filter", name), "1")
			}
			s.start(t)
			s.host.AwaitHops(t)
			s.mustPlayAFlip(t)
		})
	}
}

func (s *stage) mustSetHost(t *testing.T, key, value string) {
	t.Helper()
	if err := s.lab.LB.Sysctl(key, value); err != nil {
		t.Fatal(err)
	}
}

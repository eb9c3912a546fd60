package attach

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

const notConfigured = "the route leaves by eth1, which is not one of the configured interfaces"

func TestABackendBehindAnInterfaceThatIsNotConfiguredIsUnusableUntilAReloadAddsIt(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{lab: lab.Options{Forwarding: forwarding, Arms: lab.TwoArms}, file: file{interfaces: "[eth0]"}})
			s.mustHaveNoWay(t)
			for range 2 { // what was usable is not for ever
				s.reload(t, file{})
				s.host.AwaitHops(t)
				s.reload(t, file{interfaces: "[eth0]"})
				s.mustHaveNoWay(t)
			}
			s.reload(t, file{})
			s.host.AwaitHops(t)
			s.mustPlayAFlip(t)
		})
	}
}

// mustHaveNoWay checks that every backend is known to be unusable, and that a flip is refused.
func (s *stage) mustHaveNoWay(t *testing.T) {
	t.Helper()
	lab.Eventually(t, "every way out to be refused", func() bool {
		return len(s.reasons(t)) == 1 && s.reasons(t)[notConfigured] == 8
	})
	_, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service})
	if err == nil || !strings.Contains(err.Error(), "no usable ipv4 backend") {
		t.Errorf("flip to a colour that can't be reached: %v", err)
	}
}

// reasons counts why next hops can't be used.
func (s *stage) reasons(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, g := range s.host.Status(t).Services[0].Generations {
		for _, b := range g.Backends {
			for _, hop := range b.NextHops {
				out[hop.Reason]++
			}
		}
	}
	return out
}

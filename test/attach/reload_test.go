package attach

import (
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestInterfacesComeAndGoByReloadUnderPlayers(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{lab: lab.Options{Forwarding: forwarding, Arms: lab.TwoArms}})
			if err := s.lab.AddArm("eth2"); err != nil {
				t.Fatal(err)
			}
			s.host.AwaitHops(t)
			s.play(t, 4)
			for range 3 {
				s.reload(t, file{interfaces: "[eth0, eth1, eth2]"})
				if i := s.iface(t, "eth2"); !i.Attached {
					t.Errorf("after the reload that adds it: %+v", i)
				}
				s.play(t, 1)
				s.reload(t, file{})
				s.mustRun(t, "eth2", 0)
				s.play(t, 1)
			}
			s.mustRefuse(t, file{interfaces: "[eth0]"}, "by eth1, and would be cut")
			s.fleet.Exchange(2)
			s.flip(t)
			s.play(t, 2)
			s.mustBeWhole(t, 10, 2)
		})
	}
}

// In dsr the backends may be reached by an interface on which nothing comes in: it is the way out that counts.
func TestAnInterfaceMayGoOnceItsSessionsHaveEnded(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{lab: lab.Options{Arms: lab.TwoArms}, networks: []string{"tcp"}, timeouts: "{tcp_closing: 1s}"})
	s.host.AwaitHops(t)
	s.play(t, 2)
	s.mustRefuse(t, file{interfaces: "[eth0]"}, "by eth1, and would be cut")
	s.fleet.Exchange(2)
	s.mustBeWhole(t, 2, 0)
	s.fleet.Logout(2)
	lab.Eventually(t, "the reload to be taken", func() bool {
		_, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{})
		return err == nil
	})
	s.mustRun(t, "eth1", 0)
}

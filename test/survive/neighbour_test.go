package survive

import (
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// While nobody asked, the kernel may have forgotten who the backends are: it does not see that XDP sends to them. A daemon
// that starts then asks anew, and players notice nothing; only when nobody answers their packets are dropped, with a reason.
func TestADaemonThatHasToAskForTheBackendsAnewBreaksNobody(t *testing.T) {
	t.Parallel()
	here := []game.Endpoint{game.TCP(lab.VIP4, port), game.UDP(lab.VIP4, port)}
	s := mustStage(t, setting{}, here...)
	s.fleet.Add(t.Context(), 5, game.Role{Endpoints: here, ChatTick: time.Second / 2, StateTick: time.Second / 10})
	s.kill(t)
	s.answerARP(t, "8") // nobody does
	s.startKnowingNobody(t, "600")
	s.fleet.Exchange(3)
	s.mustBeWhole(t)
	s.answerARP(t, "0")
	s.awaitHops(t)
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	s.kill(t)
	s.answerARP(t, "8")
	s.startKnowingNobody(t, "1")
	lab.Eventually(t, "drops for want of a next hop", func() bool { return s.dropped(t, "drop_unresolved") > 0 })
	s.kill(t)
}

// answerARP sets the arp_ignore of all backends.
func (s *stage) answerARP(t *testing.T, ignore string) {
	t.Helper()
	for _, b := range s.lab.Backends {
		if err := b.Sysctl("net/ipv4/conf/eth0/arp_ignore", ignore); err != nil {
			t.Fatal(err)
		}
	}
}

// startKnowingNobody starts the daemon with an empty neighbour table, on a kernel that asks so many times, and waits until
// it has said that it does not know where the backends are.
func (s *stage) startKnowingNobody(t *testing.T, times string) {
	t.Helper()
	if err := s.lab.LB.Sysctl("net/ipv4/neigh/eth0/mcast_solicit", times); err != nil {
		t.Fatal(err)
	}
	if err := s.lab.LB.ForgetNeighbours("eth0"); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	lab.Eventually(t, "a daemon that asks for the backends", func() bool {
		hops := 0
		for _, g := range s.service(t, service).Generations {
			for _, b := range g.Backends {
				for _, h := range b.NextHops {
					if h.Family == "ipv4" && h.State != api.HopResolved && h.Reason != "" {
						hops++
					}
				}
			}
		}
		return hops == len(s.lab.Backends)
	})
}

func (s *stage) dropped(t *testing.T, reason string) uint64 {
	t.Helper()
	drops, err := s.host.Client.Drops(t.Context(), api.DropsRequest{IntervalSeconds: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range drops.Reasons {
		if r.Reason == reason {
			return r.Count
		}
	}
	return 0
}

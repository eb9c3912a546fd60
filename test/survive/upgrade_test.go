package survive

import (
	"os"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const upgradeFlows = 1 << 17

// udp leaves soon after its last packet: newcomers who were let go make room.
const passing = "{tcp: 1h, tcp_half_open: 30s, tcp_closing: 2s, udp: 2m, udp_new: 2m, reuse_after: 10m}"

func upgradeSetting(forwarding lab.Forwarding, maxFlows int) setting {
	return setting{
		arms: lab.TwoArms, forwarding: forwarding, maxFlows: maxFlows,
		services: []host.Service{both(service, port, passing)},
	}
}

// upgrade is one, and what it is called.
type upgrade struct {
	name string
	do   func(*testing.T, *stage)
}

// restart is an upgrade by another daemon.
func restart(build host.Build) func(*testing.T, *stage) {
	return func(t *testing.T, s *stage) {
		s.kill(t)
		s.host.Options().Build = build
		s.start(t)
	}
}

// resize is an upgrade by a reload.
func resize(forwarding lab.Forwarding, maxFlows int) func(*testing.T, *stage) {
	return func(t *testing.T, s *stage) {
		s.configure(t, upgradeSetting(forwarding, maxFlows).yaml(s.lab))
		s.reload(t)
		if have := s.status(t).MaxFlows; have != uint32(maxFlows) {
			t.Errorf("max_flows is %d after a reload to %d", have, maxFlows)
		}
	}
}

func TestSessionsAndNewcomersLiveThroughUpgrades(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		forwarding lab.Forwarding
		upgrades   []upgrade
	}{
		{lab.NAT, []upgrade{
			{"to a program of another tag", restart(host.Another)},
			{"to slots of another size", restart(host.Wide)},
			{"back to the program that ships", restart("")},
			{"to more flows", resize(lab.NAT, 2*upgradeFlows)},
			{"to fewer flows", resize(lab.NAT, upgradeFlows)},
			{"to a program that no link takes", nil},
		}},
		{lab.DSR, []upgrade{
			{"to a program of another tag", restart(host.Another)},
			{"to slots of another size", restart(host.Wide)},
			{"to more flows", resize(lab.DSR, 2*upgradeFlows)},
		}},
	} {
		t.Run(c.forwarding.String(), func(t *testing.T) {
			t.Parallel()
			liveThroughUpgrades(t, c.forwarding, c.upgrades)
		})
	}
}

func liveThroughUpgrades(t *testing.T, forwarding lab.Forwarding, upgrades []upgrade) {
	s := mustStage(t, upgradeSetting(forwarding, upgradeFlows), endpoints(port)...)
	s.fleet.Add(t.Context(), 10, role(endpoints(port)...))
	n := mustNewcomers(t, s.lab)
	for _, u := range upgrades {
		t.Run(u.name, func(t *testing.T) {
			if u.do == nil {
				s.mustStayAsItIs(t, n)
				return
			}
			s.mustUpgrade(t, n, u.do)
		})
	}
	n.end()
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	s.kill(t)
}

// mustUpgrade upgrades while newcomers come in.
func (s *stage) mustUpgrade(t *testing.T, n *newcomers, do func(*testing.T, *stage)) {
	t.Helper()
	before, during := s.status(t), n.arrivals()
	do(t, s)
	during.mustCome(t)
	after := s.status(t)
	if after.Build == before.Build && after.MaxFlows == before.MaxFlows {
		t.Errorf("build %s before and after", after.Build)
	}
	s.mustRunOnBothArms(t, after)
	s.mustHoldNoOtherPins(t)
	s.mustHaveKept(t, n)
}

// mustHaveKept checks that whoever is here by now goes on, each with one pin, and lets half of them go.
func (s *stage) mustHaveKept(t *testing.T, n *newcomers) {
	t.Helper()
	sessions := n.take()
	n.mustGoOn(t, sessions)
	s.mustHavePins(t, sessions)
	s.mustBeWhole(t)
	n.stay(sessions[:len(sessions)/2]...)
	forget(sessions[len(sessions)/2:])
}

func (s *stage) mustRunOnBothArms(t *testing.T, st api.Status) {
	t.Helper()
	for _, i := range st.Interfaces {
		if !i.Attached || i.Mode != api.ModeNative {
			t.Errorf("%+v", i)
		}
	}
	if len(st.Interfaces) != 2 || st.Upgrade != "" {
		t.Errorf("interfaces %+v, upgrade %q", st.Interfaces, st.Upgrade)
	}
}

// mustHoldNoOtherPins checks that there are no pins beside those in place.
func (s *stage) mustHoldNoOtherPins(t *testing.T) {
	t.Helper()
	dir := s.host.Options().BPFDir
	for _, beside := range []string{dir + "-building", dir + "-ready"} {
		if _, err := os.Stat(beside); !os.IsNotExist(err) {
			t.Errorf("%s is there (%v)", beside, err)
		}
	}
}

// mustStayAsItIs upgrades to a program that no link takes: the one that was there goes on.
func (s *stage) mustStayAsItIs(t *testing.T, n *newcomers) {
	t.Helper()
	before, during := s.status(t), n.arrivals()
	restart(host.Refused)(t, s)
	during.mustCome(t)
	after := s.status(t)
	if after.Build != before.Build {
		t.Errorf("build %s, it was %s", after.Build, before.Build)
	}
	if !strings.Contains(s.host.Log(), "move the link of eth0 to the new program") {
		t.Error("the daemon's log does not say what failed")
	}
	s.mustRunOnBothArms(t, after)
	s.mustHoldNoOtherPins(t)
	s.mustHaveKept(t, n)
	if _, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{}); err == nil {
		t.Error("a reload with that build succeeds")
	}
	s.mustHoldNoOtherPins(t)
	to := other(s.live(t, service))
	s.flip(t, service, to)
	if colour := s.login(t, endpoints(port)...); colour != to {
		t.Errorf("flipped to %s, a newcomer was accepted by %s", to, colour)
	}
	s.mustHaveKept(t, n)
}

package survive

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const upgradeFlows = 1 << 17

// udp leaves soon after its last packet: newcomers who were let go make room.
const passing = "{tcp: 1h, tcp_half_open: 30s, tcp_closing: 2s, udp: 2m, udp_new: 2m, reuse_after: 10m}"

func upgradeSetting(maxFlows int) setting {
	return setting{
		arms: lab.TwoArms, forwarding: lab.NAT, maxFlows: maxFlows,
		services: []host.Service{both(service, port, passing)},
	}
}

func TestSessionsAndNewcomersLiveThroughUpgrades(t *testing.T) {
	t.Parallel()
	s := mustStage(t, upgradeSetting(upgradeFlows), endpoints(port)...)
	s.fleet.Add(t.Context(), 20, role(endpoints(port)...))
	n := mustNewcomers(t, s.lab)
	restart := func(build host.Build) func(*testing.T) {
		return func(t *testing.T) {
			s.kill(t)
			s.host.Options().Build = build
			s.start(t)
		}
	}
	resize := func(maxFlows int) func(*testing.T) {
		return func(t *testing.T) {
			s.configure(t, upgradeSetting(maxFlows).yaml(s.lab))
			s.reload(t)
			if have := s.status(t).MaxFlows; have != uint32(maxFlows) {
				t.Errorf("max_flows is %d after a reload to %d", have, maxFlows)
			}
		}
	}
	for _, c := range []struct {
		name    string
		upgrade func(*testing.T)
	}{
		{"to a program of another tag", restart(host.Another)},
		{"to slots of another size", restart(host.Wide)},
		{"back to the program that ships", restart("")},
		{"to more flows", resize(2 * upgradeFlows)},
		{"to fewer flows", resize(upgradeFlows)},
	} {
		t.Run(c.name, func(t *testing.T) { s.mustUpgrade(t, n, c.upgrade) })
	}
	t.Run("to a program that no link takes", func(t *testing.T) { s.mustStayAsItIs(t, n) })
	n.end()
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	s.kill(t)
}

// mustUpgrade upgrades while newcomers come in, and reports their rate.
func (s *stage) mustUpgrade(t *testing.T, n *newcomers, upgrade func(*testing.T)) {
	t.Helper()
	before, opened, begin := s.status(t), n.opened.Load(), time.Now()
	upgrade(t)
	t.Logf("%.0f newcomers a second during the %.1f s", n.rate(opened, begin), time.Since(begin).Seconds())
	after := s.status(t)
	if after.Build == before.Build && after.MaxFlows == before.MaxFlows {
		t.Errorf("build %s before and after", after.Build)
	}
	s.mustRunOnBothArms(t, after)
	s.mustHoldNoOtherPins(t)
	s.mustHaveKept(t, n)
}

// mustHaveKept checks that whoever is here by now goes on, each with one pin, and lets the older half go.
func (s *stage) mustHaveKept(t *testing.T, n *newcomers) {
	t.Helper()
	count := n.count() - newcomerHands // the youngest are still coming in
	n.mustGoOn(t, count)
	s.mustHavePins(t, n, count)
	s.mustBeWhole(t)
	n.forget(count / 2)
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
	before := s.status(t)
	s.kill(t)
	s.host.Options().Build = host.Refused
	s.start(t)
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
	if _, err := s.host.Client.Reload(t.Context()); err == nil {
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

func TestKill9BetweenAnyTwoWritesOfAnUpgradeBreaksNobody(t *testing.T) {
	t.Parallel()
	set := upgradeSetting(upgradeFlows)
	s := mustStage(t, set, endpoints(port)...)
	s.fleet.Add(t.Context(), 20, role(endpoints(port)...))
	n := mustNewcomers(t, s.lab)
	begin := time.Now()
	var points []string
	for build := host.Wide; ; build = map[host.Build]host.Build{host.Wide: "", "": host.Wide}[build] {
		s.kill(t)
		s.host.Options().Build = build
		if s.doom(t, "upgrade", len(points)+1) {
			break // there are no more writes
		}
		points = append(points, strings.TrimPrefix(s.lastStep(t), "upgrade: "))
		s.start(t)
		s.mustRunOnBothArms(t, s.status(t))
		s.mustHoldNoOtherPins(t)
		s.mustHaveKept(t, n)
		if t.Failed() {
			t.Fatalf("killed at %q", points)
		}
	}
	t.Logf("killed before %d writes of upgrades, while %.0f newcomers a second came in: %q", len(points), n.rate(0, begin), points)
	if len(points) < wanted {
		t.Errorf("killed before %d writes, want %d", len(points), wanted)
	}
	n.end()
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	s.kill(t)
}

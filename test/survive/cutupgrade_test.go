package survive

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestKill9BetweenAnyTwoWritesOfAnUpgradeBreaksNobody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		forwarding lab.Forwarding
		begin      cutUpgrade
		every      int // write, at which to kill
		want       int
	}{
		{"to slots of another size", lab.NAT, cutRestart(host.Wide), 1, 2 * wanted},
		{"to a program of another tag", lab.NAT, cutRestart(host.Another), 1, 9}, // the tables stay: there are no more
		{"to another max_flows", lab.DSR, cutResize, 3, 7},                       // the writes are those of the first row
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := cutUpgrades(t, c.forwarding, c.begin, c.every)
			if len(points) < c.want {
				t.Errorf("killed before %d writes, want %d", len(points), c.want)
			}
		})
	}
}

// cutUpgrade begins an upgrade, to or fro, by a daemon that dies before the n-th write, and says whether it was over
// before.
type cutUpgrade func(t *testing.T, s *stage, n int) (over bool)

// cutRestart is to a build, and back to the one that ships.
func cutRestart(to host.Build) cutUpgrade {
	return func(t *testing.T, s *stage, n int) bool {
		s.kill(t)
		s.host.Options().Build = [2]host.Build{"", to}[n%2]
		return s.doom(t, "upgrade", n)
	}
}

// cutResize is a reload to twice the flows, and back.
func cutResize(t *testing.T, s *stage, n int) bool {
	s.kill(t)
	if !s.doom(t, "upgrade", n) {
		t.Fatal("a daemon that only starts makes a write of an upgrade")
	}
	s.configure(t, upgradeSetting(lab.DSR, upgradeFlows<<(n%2)).yaml(s.lab))
	if _, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{}); err == nil {
		return true
	}
	s.mustDie(t)
	return false
}

// cutUpgrades kills the daemon before one write of an upgrade after the other, lets another one finish it, and lists where.
func cutUpgrades(t *testing.T, forwarding lab.Forwarding, begin cutUpgrade, every int) (points []string) {
	s := mustStage(t, upgradeSetting(forwarding, upgradeFlows), endpoints(port)...)
	s.fleet.Add(t.Context(), 5, role(endpoints(port)...))
	n := mustNewcomers(t, s.lab)
	all := n.arrivals()
	for !begin(t, s, (len(points)+1)*every) {
		points = append(points, strings.TrimPrefix(s.lastStep(t), "upgrade: "))
		s.start(t)
		s.mustRunOnBothArms(t, s.status(t))
		s.mustHoldNoOtherPins(t)
		s.mustHaveKept(t, n)
		if t.Failed() {
			t.Fatalf("killed at %q", points)
		}
	}
	all.mustCome(t)
	t.Logf("killed before %d writes of upgrades: %q", len(points), points)
	n.end()
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	s.kill(t)
	return points
}

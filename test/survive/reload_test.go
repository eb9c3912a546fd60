package survive

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

// manyChanges are two files between which a reload has much to write: a version on the idle colour, a backend, a weight,
// timeouts, listeners and a service differ.
func manyChanges(l *lab.Lab) [2]string {
	a := setting{}.yaml(l)
	world := both(service, port, strings.Replace(calm, "udp: 1h", "udp: 59m", 1))
	world.Versions = map[string]string{"green": "2.1"}
	world.Listeners = append(world.Listeners,
		listener(lab.VIP6, "tcp", port+1),
		fmt.Sprintf("{vip: %q, protocol: udp, port: %d-%d}", lab.VIP6, port+1, port+2))
	b := setting{services: []host.Service{world, both("hall", port+10, calm)}}.yaml(l)
	blue2 := fmt.Sprintf("          - {address: [%s, %q]}\n", l.Backend("blue2").V4, l.Backend("blue2").V6)
	blue1 := fmt.Sprintf("%q]", l.Backend("blue1").V6)
	b = strings.Replace(b, blue1, blue1+", weight: 3", 1) // of world, which comes first
	return [2]string{a, strings.Replace(b, blue2, "", 1)}
}

func TestKill9BetweenAnyTwoWritesOfAReloadLeavesNothingHalfApplied(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{}, endpoints(port)...)
	s.fleet.Add(t.Context(), 5, role(endpoints(port)...))
	files := manyChanges(s.lab)
	var points []string
	for n := 1; n <= 2*wanted; n++ {
		s.settle(t)
		s.kill(t)
		if !s.doom(t, "", n) {
			t.Fatalf("a start with nothing to do wrote %q", s.steps(t))
		}
		s.configure(t, files[n%2])
		if _, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{}); err == nil {
			break // there are no more writes
		}
		points = append(points, s.mustDie(t))
		colour := s.login(t, endpoints(port)...) // while nobody is in charge
		s.start(t)
		if live := s.live(t, service); live != "blue" || colour != "blue" {
			t.Errorf("killed at %q: %s is live and %s took a newcomer, it was blue", points[n-1], live, colour)
		}
		s.mustBeConsistent(t)
		s.login(t, endpoints(port)...)
		s.mustBeWhole(t)
		if t.Failed() {
			t.Fatalf("killed at %q", points)
		}
	}
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	t.Logf("killed before %d writes of reloads: %q", len(points), points)
	if len(points) < wanted {
		t.Errorf("killed before %d writes, want %d", len(points), wanted)
	}
	s.kill(t)
}

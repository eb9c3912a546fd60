package operate

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A backend whose check fails gets no new sessions and keeps its players; it comes back with its check, and who was sick
// when the daemon was killed is so until he has been asked.
func TestASickBackendKeepsItsPlayersAndGetsNoNewOnes(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{backends: []string{"blue1", "blue2", "green1"}})
	// One answer that is late would be enough to be sick, and where all are sick all are used.
	yaml := strings.Replace(s.yaml(), "    forwarding: dsr\n", "    forwarding: dsr\n    health: {tcp: 9999, every: 1s, timeout: 5s, rise: 1, fall: 1}\n", 1)
	s.configure(t, yaml)
	doors := map[string]func(){}
	open := func(b *lab.Backend) {
		ln, err := b.Listen("tcp", netip.AddrPortFrom(b.V4, 9999))
		if err != nil {
			t.Fatal(err)
		}
		doors[b.Name] = func() { ln.Close() }
		t.Cleanup(func() { ln.Close() })
	}
	for _, b := range s.lab.Backends {
		open(b)
	}
	s.start(t)
	t.Cleanup(func() {
		if err := s.host.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
	s.host.AwaitHops(t)
	first := s.lab.Backends[0]
	health := func(name string, well bool) func() bool {
		return func() bool {
			for _, g := range s.service(t).Generations {
				for _, b := range g.Backends {
					if b.Addresses[0] == first.V4.String() && b.Health != nil && b.Health.Since != nil && b.Health.Well == well {
						return well == (b.State == api.BackendInUse)
					}
				}
			}
			return false
		}
	}
	lab.Eventually(t, "the first check", health(first.Name, true))
	for range 4 { // some of them on the first backend
		s.login(t, "blue")
	}
	doors[first.Name]()
	lab.Eventually(t, "the sick backend's rest", health(first.Name, false))
	sick := time.Now()
	for range 6 {
		s.login(t, "blue")
	}
	for _, a := range s.world.Log.Since(sick) {
		if a.Backend == first.Name {
			t.Errorf("a new session by %s on the sick backend", a.Network)
		}
	}
	s.mustBeWhole(t)
	s.restartAfter(t, func() error { return nil })
	if b := s.service(t).Generations[0].Backends[0]; b.State != api.BackendResting || b.Health == nil || b.Health.Well {
		t.Errorf("after a restart: %+v, health %+v", b, b.Health)
	}
	open(first)
	lab.Eventually(t, "its return", health(first.Name, true))
	s.mustBeWhole(t)
	s.do(t, "health", "world", first.V4.String(), "down").mustBe(t, 5, "", "…nobody's word is asked for\n")
}

package survive

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/control"
	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestARebootKeepsTheLiveColourAndTheNumbersOfTheGenerations(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{}, endpoints(port)...)
	s.flip(t, service, "green")
	s.configure(t, staged(s.lab, "2.1"))
	s.reload(t)
	s.mustHave(t, "2 green 2.0 live", "3 blue 2.1 candidate")
	s.reboot(t)
	s.mustHave(t, "2 green 2.0 live", "3 blue 2.1 candidate")
	s.mustBeConsistent(t)
	if colour := s.login(t, endpoints(port)...); colour != "green" {
		t.Errorf("after the reboot a newcomer was accepted by %s", colour)
	}
	// A second one, right after the first, and what is staged next has a number of its own.
	s.reboot(t)
	s.configure(t, staged(s.lab, "2.2"))
	s.reload(t)
	s.mustHave(t, "2 green 2.0 live", "4 blue 2.2 candidate")
	s.flip(t, service, "blue")
	if colour := s.login(t, endpoints(port)...); colour != "blue" {
		t.Errorf("after the flip a newcomer was accepted by %s", colour)
	}
	s.kill(t)
}

// staged has another version on blue.
func staged(l *lab.Lab, version string) string {
	svc := both(service, port, calm)
	svc.Versions = map[string]string{"blue": version}
	return setting{services: []host.Service{svc}}.yaml(l)
}

// reboot takes away all that a reboot does: the daemon, what is pinned, and the addresses.
func (s *stage) reboot(t *testing.T) {
	t.Helper()
	s.kill(t)
	err := s.lab.LB.Do(func() error {
		return errors.Join(loader.Detach(s.host.Options().BPFDir), control.RemoveVIPs())
	})
	if err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.awaitHops(t)
}

// mustHave waits until these are the generations of the service: what has left its pool goes with a sweep.
func (s *stage) mustHave(t *testing.T, want ...string) {
	t.Helper()
	s.settle(t)
	var have []string
	for _, g := range s.service(t, service).Generations {
		have = append(have, generationText(g))
	}
	if strings.Join(have, ", ") != strings.Join(want, ", ") {
		t.Errorf("generations %q, want %q", have, want)
	}
}

func generationText(g api.Generation) string {
	return fmt.Sprintf("%d %s %s %s", g.Number, g.Colour, g.Version, g.State)
}

package survive

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// wanted is how many kernel writes of each verb the daemon has to be killed before, at least.
const wanted = 10

func TestKill9BetweenAnyTwoWritesOfAFlipLeavesTheOldOrTheNewGenerationLive(t *testing.T) {
	t.Parallel()
	services := []string{"login", "world"}
	var set setting
	for i, name := range services {
		set.services = append(set.services, both(name, port+uint16(i), calm))
	}
	s := mustStage(t, set, append(endpoints(port), endpoints(port+1)...)...)
	for i := range services {
		s.fleet.Add(t.Context(), 2, role(endpoints(port+uint16(i))...))
	}
	var points []string
	for n := 1; ; n++ {
		s.kill(t)
		if !s.doom(t, "flip", n) {
			t.Fatal("a daemon that only starts makes a write of a flip")
		}
		cut := s.flipAll(t, services)
		if cut == "" {
			break
		}
		points = append(points, cut)
		s.mustBeWhole(t)
	}
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	t.Logf("killed before %d writes of flips: %q", len(points), points)
	if len(points) < wanted {
		t.Errorf("killed before %d writes, want %d", len(points), wanted)
	}
	s.kill(t)
}

// flipAll flips all services in turn, with a daemon that dies at it, starts another, and says where the first one died:
// nowhere when there were no more writes.
func (s *stage) flipAll(t *testing.T, services []string) string {
	t.Helper()
	before := map[string]string{}
	for _, name := range services {
		before[name] = s.live(t, name)
	}
	cut := len(services)
	for i, name := range services {
		if _, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: name}); err != nil {
			cut = i
			break
		}
	}
	if cut == len(services) {
		return ""
	}
	point := fmt.Sprintf("%s: %s", services[cut], s.mustDie(t))
	orphaned := s.login(t, endpoints(port+uint16(cut))...) // while nobody is in charge
	s.start(t)
	for i, name := range services {
		live, old := s.live(t, name), before[name]
		if i < cut && live != other(old) || i > cut && live != old {
			t.Errorf("killed at %s: %s is live for service %s, it was %s", point, live, name, old)
		}
		if i == cut && live != orphaned {
			t.Errorf("killed at %s: a newcomer was accepted by %s, now %s is live", point, orphaned, live)
		}
		if colour := s.login(t, endpoints(port+uint16(i))...); colour != live {
			t.Errorf("killed at %s: %s is live for service %s, a newcomer was accepted by %s", point, live, name, colour)
		}
		s.mustCountNone(t, name, point)
	}
	s.mustBeTold(t, services[cut], s.live(t, services[cut]) != before[services[cut]], point)
	s.mustBeConsistent(t)
	return point
}

// mustBeTold checks that the journal is sound, and says of the last flip of a service whether it was made.
func (s *stage) mustBeTold(t *testing.T, name string, flipped bool, point string) {
	t.Helper()
	if _, err := journal.VerifyFile(filepath.Join(s.host.Options().StateDir, journal.FileName)); err != nil {
		t.Errorf("killed at %s: %v", point, err)
	}
	var last journal.Event
	req := api.HistoryRequest{Service: name, Act: "flip", Last: 1}
	if err := s.host.Client.History(t.Context(), req, func(e journal.Event) error { last = e; return nil }); err != nil {
		t.Fatal(err)
	}
	begun := !strings.HasSuffix(point, "flip: journal")
	if begun && last.Stage != map[bool]journal.Stage{true: journal.Done, false: journal.Failed}[flipped] || last.Stage == journal.Begun {
		t.Errorf("killed at %s: flipped is %v, the journal ends with %+v", point, flipped, last)
	}
}

// mustCountNone checks what the restarted daemon says of sessions that began on a draining generation after its flip.
func (s *stage) mustCountNone(t *testing.T, name, point string) {
	t.Helper()
	for _, g := range s.service(t, name).Generations {
		if g.NewSinceFlip != 0 {
			t.Errorf("killed at %s: service %s has %d new sessions on %s since the flip", point, name, g.NewSinceFlip, g.Colour)
		}
	}
}

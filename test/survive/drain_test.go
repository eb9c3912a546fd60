package survive

import (
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/test/game"
)

func TestKill9BetweenAnyTwoWritesOfADrainEndsNoProof(t *testing.T) {
	t.Parallel()
	// The last of the services has a player who stays.
	services := []string{"a", "b", "c", "d", "stays"}
	var set setting
	var serve []game.Endpoint
	for i, name := range services {
		set.services = append(set.services, both(name, port+uint16(i), short))
		serve = append(serve, endpoints(port+uint16(i))...)
	}
	s := mustStage(t, set, serve...)
	for i := range services {
		s.fleet.Add(t.Context(), 1, role(endpoints(port+uint16(i))...))
	}
	for _, name := range services {
		s.flip(t, name, "green")
	}
	s.fleet.Logout(len(services) - 1)
	s.kill(t)
	points := s.cutDrains(t, services[:len(services)-1])
	s.kill(t)
	s.start(t)
	// Before anything else: a daemon that answers has counted.
	if g := s.service(t, "stays").Generations[0]; g.State != api.StateDraining || g.Sessions.Total != uint64(len(endpoints(port))) {
		t.Errorf("a generation with a player is %+v", g)
	}
	for _, name := range services[:len(services)-1] {
		s.mustDrain(t, name)
	}
	for _, name := range services[:len(services)-1] {
		s.mustBeNotedOnce(t, name)
	}
	s.mustBeConsistent(t)
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	t.Logf("killed before %d writes of drains: %q", len(points), points)
	if len(points) < wanted {
		t.Errorf("killed before %d writes, want %d", len(points), wanted)
	}
	s.leave("blue")
	s.mustDrain(t, "stays")
	s.kill(t)
}

// mustBeNotedOnce checks that the end of a service's drain is in the journal, and not again for each daemon that was killed.
func (s *stage) mustBeNotedOnce(t *testing.T, name string) {
	t.Helper()
	n := 0
	err := s.host.Client.History(t.Context(), api.HistoryRequest{Service: name, Act: "drained"}, func(journal.Event) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if n != 1 {
		t.Errorf("the end of the drain of %s is in the journal %d times", name, n)
	}
}

// cutDrains kills the daemon before each write of the drains of some services, until all are drained, and lists where.
func (s *stage) cutDrains(t *testing.T, services []string) (points []string) {
	t.Helper()
	for {
		// Each but the first makes one write and dies before the next.
		if s.doom(t, "drain", min(2, 1+len(points))) && s.drainedOrDead(t, services) {
			return points
		}
		points = append(points, s.lastStep(t))
	}
}

// drainedOrDead waits for one or the other, and says whether it was the first.
func (s *stage) drainedOrDead(t *testing.T, services []string) (drained bool) {
	t.Helper()
	eventually(t, "the end of the drains, or of the daemon", func() bool {
		st, err := s.host.Client.Status(t.Context())
		drained = err == nil && allDrained(st, services)
		return err != nil || drained
	})
	if !drained {
		s.mustDie(t)
	}
	return drained
}

func allDrained(st api.Status, services []string) bool {
	for _, svc := range st.Services {
		for _, g := range svc.Generations {
			if slices.Contains(services, svc.Name) && g.State == api.StateDraining {
				return false
			}
		}
	}
	return true
}

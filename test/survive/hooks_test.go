package survive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
)

// hookSteps are those of one hook, before each of which the daemon is killed.
var hookSteps = []string{"hook: journal", "hook: run", "hook: journal, end"}

func TestKill9AtEachStepOfAHookRunsItAgainWithItsKeyAndTheReleaseGoesOn(t *testing.T) {
	t.Parallel()
	var set setting
	log := t.TempDir() + "/hooks"
	for i := range len(hookSteps) + 1 {
		svc := both(fmt.Sprintf("s%d", i), port+uint16(i), calm)
		svc.Release = fmt.Sprintf(`{bake: 0s, hooks: {flip: [{exec: [/bin/sh, -c, 'echo "$EBBTIDE_KEY" >>%s']}]}}`, log)
		set.services = append(set.services, svc)
	}
	s := mustStage(t, set)
	var points []string
	for i, svc := range set.services {
		s.kill(t)
		if !s.doom(t, "hook", i+1) {
			t.Fatal("a daemon that only starts runs a hook")
		}
		if _, err := s.host.Client.Release(t.Context(), api.ReleaseRequest{Service: svc.Name, Do: api.ReleaseStart, Force: true}); err != nil {
			t.Fatal(err)
		}
		if i < len(hookSteps) {
			points = append(points, s.mustDie(t))
			s.start(t)
		}
		s.mustGoOn(t, svc.Name)
		if live := s.live(t, svc.Name); live != "green" {
			t.Errorf("killed before %q: %s is live", points, live)
		}
	}
	if !slices.Equal(points, hookSteps) {
		t.Errorf("killed before %q, want %q", points, hookSteps)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	data = regexp.MustCompile(`(?m)/[0-9a-f]{16}$`).ReplaceAll(data, nil) // what the hook does
	// Killed after it ran and before the journal has that, it is run again.
	if want := "s0/1/flip\ns1/1/flip\ns2/1/flip\ns2/1/flip\ns3/1/flip\n"; string(data) != want {
		t.Errorf("there ran\n%swant\n%s", strings.TrimSpace(string(data)), want)
	}
	s.kill(t)
}

var errThere = errors.New("there")

// mustGoOn waits until a service's release has left the hook of its flip behind.
func (s *stage) mustGoOn(t *testing.T, name string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), forEver)
	defer stop()
	var last api.Release
	err := s.host.Client.WatchRelease(ctx, api.ReleasesRequest{Service: name}, func(r api.Release) error {
		if last = r; slices.Contains([]string{"draining", "retiring", "promoting", "done"}, r.State) {
			return errThere
		}
		return nil
	})
	if !errors.Is(err, errThere) {
		t.Fatalf("service %s: %v, %+v", name, err, last)
	}
}

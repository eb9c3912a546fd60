package e2e

import (
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

const forEver = lab.ForEver

// eventually waits for what nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	lab.Eventually(t, what, ok)
}

func (s *stage) status(t *testing.T) api.Status {
	t.Helper()
	return s.host.Status(t)
}

// serviceStatus is that of a service that must be there.
func (s *stage) serviceStatus(t *testing.T, name string) api.Service {
	t.Helper()
	st := s.status(t)
	for _, svc := range st.Services {
		if svc.Name == name {
			return svc
		}
	}
	t.Fatalf("no service %s in %+v", name, st.Services)
	return api.Service{}
}

// generation is the service's generation of that version.
func (s *stage) generation(t *testing.T, version string) api.Generation {
	t.Helper()
	for _, g := range s.serviceStatus(t, service).Generations {
		if g.Version == version {
			return g
		}
	}
	t.Fatalf("no generation of version %s", version)
	return api.Generation{}
}

// The versions of the pools of a stage.
const (
	blue  = "1.9"
	green = "2.0"
)

// swept waits for the end of a sweep that began after the call, and gives its status.
func (s *stage) swept(t *testing.T) api.Status {
	t.Helper()
	now := time.Now()
	var st api.Status
	eventually(t, "a complete sweep", func() bool {
		st = s.status(t)
		return st.LastSweep.Add(-time.Duration(st.SweepSeconds * float64(time.Second))).After(now)
	})
	return st
}

// awaitHops waits until every backend in use can be reached.
func (s *stage) awaitHops(t *testing.T) {
	t.Helper()
	s.host.AwaitHops(t)
}

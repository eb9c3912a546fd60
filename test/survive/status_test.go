package survive

import (
	"testing"

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

func (s *stage) service(t *testing.T, name string) api.Service {
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

// live is the colour that is live.
func (s *stage) live(t *testing.T, name string) string {
	t.Helper()
	return s.service(t, name).Live.Colour
}

func other(colour string) string {
	if colour == "blue" {
		return "green"
	}
	return "blue"
}

func (s *stage) flip(t *testing.T, name, to string) api.FlipResult {
	t.Helper()
	result, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: name, To: to})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (s *stage) reload(t *testing.T) api.Plan {
	t.Helper()
	plan, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// mustDrain waits until all that drains of a service is drained.
func (s *stage) mustDrain(t *testing.T, name string) {
	t.Helper()
	var last api.DrainProgress
	err := s.host.Client.WatchDrain(t.Context(), api.DrainRequest{Service: name}, func(p api.DrainProgress) error {
		last = p
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !last.Done || last.State != api.StateDrained || last.Left.Total != 0 {
		t.Errorf("service %s: the drain ended with %+v, want it drained", name, last)
	}
}

// awaitHops waits until every backend in use can be reached.
func (s *stage) awaitHops(t *testing.T) {
	t.Helper()
	s.host.AwaitHops(t)
}

// settle waits until nothing is left of what the configuration no longer has, but for what has sessions: each sweep that
// is waited for takes some of it away.
func (s *stage) settle(t *testing.T) {
	t.Helper()
	for range 20 {
		st := s.sweep(t)
		if settled(st) {
			return
		}
	}
	t.Fatalf("not settled: %+v", s.status(t).Services)
}

// sweep waits for a sweep that it asks for, and gives its status.
func (s *stage) sweep(t *testing.T) api.Status {
	t.Helper()
	st := s.status(t)
	before := st.LastSweep
	for !st.LastSweep.After(before) {
		// Who watches a drain asks for a sweep. The watch ends with the first word.
		s.host.Client.WatchDrain(t.Context(), api.DrainRequest{Service: st.Services[0].Name}, func(api.DrainProgress) error { return errEnough })
		st = s.status(t)
	}
	return st
}

func settled(st api.Status) bool {
	for _, svc := range st.Services {
		for _, g := range svc.Generations {
			if g.Colour == "" {
				return false
			}
			for _, b := range g.Backends {
				if b.State == api.BackendRemoved && b.Sessions == 0 {
					return false
				}
			}
		}
	}
	return true
}

package operate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
)

func TestPlanSaysWhatReloadThenDoesAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{timeouts: calm})
	s.login(t, "blue")
	s.swept(t)
	before := s.record(t)
	yaml := strings.NewReplacer(`"2.0"`, `"2.1"`, "udp: 1h", "udp: 2h", "port: 7777}\n    for", "port: 7777-7800}\n    for").Replace(s.yaml())
	file := filepath.Join(s.lab.Dir, "next.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	s.do(t, "plan").mustBe(t, 0, "no changes\n", "")
	planned := s.do(t, "plan", file, "-o", "json")
	s.configure(t, yaml)
	s.do(t, "plan", "-o", "json").mustBe(t, 0, planned.stdout, "")
	s.swept(t)
	s.mustEqual(t, before)

	s.do(t, "reload", "-o", "json").mustBe(t, 0, planned.stdout, "")
	decode(t, planned, func(p api.Plan) { s.mustHaveDone(t, p) })
	s.do(t, "plan").mustBe(t, 0, "no changes\n", "")
	s.do(t, "reload").mustBe(t, 0, "no changes: nothing was written\n", "")
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// mustHaveDone checks that the plan is the one of the test, and that status shows what it said.
func (s *stage) mustHaveDone(t *testing.T, p api.Plan) {
	t.Helper()
	var said []string
	for _, c := range p.Changes {
		said = append(said, c.Service+": "+c.What)
	}
	want := []string{
		"world: generation 2 (version 2.0) leaves green: it keeps its sessions and takes no new ones",
		"world: generation 3: new backend 10.77.0.12+fd77::c, weight 1",
		"world: listener 203.0.113.10 udp from port 7778",
		"world: new generation 3 on green: version 2.1",
		"world: new timeouts, for the flows that are there too",
	}
	if !slices.Equal(said, want) {
		t.Errorf("the plan is %q, want %q", said, want)
	}
	g := s.generation(t, 3)
	if g.Colour != "green" || g.Version != "2.1" || g.State != api.StateCandidate || g.Backends[0].Addresses[0] != "10.77.0.12" {
		t.Errorf("after the reload generation 3 is %+v", g)
	}
	svc := s.service(t)
	if l := svc.Listeners[1]; l.Protocol != "udp" || l.Ports != "7777-7800" || svc.Live.Number != 1 {
		t.Errorf("after the reload the service is %+v", svc)
	}
}

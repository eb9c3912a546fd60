package operate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A flip is followed as it happens, is not made twice though it is asked for twice with a restart between, is in
// environment.md and in Prometheus' targets, and has a report with its sessions when it is drained.
func TestAFlipIsToldToEverybody(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	daemon := s.mustRun(t)
	s.login(t, "blue")
	follower := s.begin(t, "events", "--follow", "--service", "world", "--after", "0")

	flip := []string{"flip", "world", "--to", "green", "--key", "release of the afternoon"}
	first := s.do(t, flip...)
	first.mustBe(t, 0, "…", "")
	follower.says(t, "flip  done")
	follower.says(t, "generation 1 (blue, version 1.9): 2 left")
	file := func(name string, wants ...string) {
		t.Helper()
		lab.Eventually(t, name+" to follow the flip", func() bool {
			text, err := os.ReadFile(filepath.Join(s.host.Options().StateDir, name))
			for _, want := range wants {
				if err != nil || !strings.Contains(string(text), want) {
					return false
				}
			}
			return true
		})
	}
	file("environment.md", "    ebbtide rollback world\n", "| draining | draining, stable |", "root")
	file("targets.json", `"role": "live"`, `"role": "draining"`)

	s.do(t, "rollback", "world").mustBe(t, 0, "…", "")
	s.stop(t, daemon)
	s.mustRun(t)
	if again := s.do(t, flip...); again.code != 0 || again.stdout != first.stdout {
		t.Errorf("again: %+v, want %+v", again, first)
	}
	if live := s.service(t).Live; live.Colour != "blue" {
		t.Errorf("a flip was made twice: %+v is live", live)
	}
	s.do(t, "flip", "world", "--key", "release of the afternoon", "--reason", "another request").mustBe(t, 5, "", "…another request came with it…")

	s.do(t, "flip", "world", "--reason", "<b>why").mustBe(t, 0, "…", "")
	s.fleet.Logout(1)
	s.do(t, "drain", "world", "--wait").mustBe(t, 0, "…", "")
	var report api.Report
	decode(t, s.do(t, "report", "world", "-o", "json"), func(r api.Report) { report = r })
	if report.State != "drained" || *report.AtFlip != 2 || *report.NewOnOld != 0 || report.By != "root" || len(report.Sessions) == 0 {
		t.Errorf("%+v", report)
	}
	html := s.do(t, "report", "world", "-o", "html")
	html.mustBe(t, 0, "…<polyline …&lt;b&gt;why…", "")
	s.do(t, "report", "world", "--release", "9").mustBe(t, 2, "", "…the journal has no release 9…")
}

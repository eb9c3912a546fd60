package operate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/ebbtide/ebbtide/test/host"
)

func TestASecondDaemonOnOneStateDirectoryRefusesAndTheFirstGoesOn(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{})
	first := s.mustRun(t)
	s.login(t, "blue")
	s.flip(t)
	before := s.flows(t)
	refusal := fmt.Sprintf("ebbtide: daemon: state directory %s: another ebbtide holds it (process %d)\n",
		s.host.Options().StateDir, first.cmd.Process.Pid)

	s.daemon(t).end(t).mustBe(t, 1, "", refusal)
	s.mustRefuseElsewhere(t, refusal)

	first.mustWait(t)
	s.mustBeWhole(t)
	s.mustHold(t, before)
	s.login(t, "green")
	s.do(t, "rollback", "world").mustBe(t, 0, proof(blue1, green2, "2"), "")
	s.login(t, "blue")

	first.cmd.Process.Kill()
	<-first.over
	s.mustRun(t) // a lock does not outlive its owner
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// mustRefuseElsewhere starts a second daemon that shares the state directory, and nothing else.
func (s *stage) mustRefuseElsewhere(t *testing.T, refusal string) {
	t.Helper()
	second, err := host.New(s.lab, host.Options{Name: "2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Configure(s.yaml()); err != nil {
		t.Fatal(err)
	}
	opt := second.Options()
	opt.StateDir = s.host.Options().StateDir
	beside := &stage{set: s.set, lab: s.lab, host: second}
	beside.daemon(t).end(t).mustBe(t, 1, "", refusal)
	for _, path := range []string{opt.BPFDir, opt.Socket} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a daemon that refused to start left %s (%v)", path, err)
		}
	}
}

// mustHold checks that these flows are pinned, and to the same backends as before.
func (s *stage) mustHold(t *testing.T, want flows) {
	t.Helper()
	have := s.flows(t)
	for flow, backend := range want {
		if have[flow] != backend {
			t.Errorf("%s is pinned to %q, before it was %q", flow, have[flow], backend)
		}
	}
}

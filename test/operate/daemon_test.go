package operate

import (
	"syscall"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// daemon is the verb daemon on the stage's files, begun on the load balancer.
func (s *stage) daemon(t *testing.T, flags ...string) *verb {
	t.Helper()
	opt := s.host.Options()
	args := append([]string{"daemon", "--config", opt.Config, "--state-dir", opt.StateDir, "--bpf-dir", opt.BPFDir}, flags...)
	v := s.newVerb(args...)
	if err := s.lab.LB.Start(v.cmd); err != nil {
		t.Fatal(err)
	}
	v.follow(t)
	return v
}

// mustRun starts the real daemon and waits until it answers, and can reach every backend that is there.
func (s *stage) mustRun(t *testing.T, flags ...string) *verb {
	t.Helper()
	d := s.daemon(t, flags...)
	t.Cleanup(func() {
		s.stop(t, d)
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.stderr.String())
		}
	})
	lab.Eventually(t, "the daemon to answer", func() bool {
		d.mustWait(t)
		return s.do(t, "status").code == 0
	})
	if !s.set.ghost {
		s.host.AwaitHops(t)
	}
	return d
}

// stop ends a daemon as systemd does, and waits for its end.
func (s *stage) stop(t *testing.T, d *verb) {
	t.Helper()
	s.host.Client.Close()
	d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-d.over
}

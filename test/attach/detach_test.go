package attach

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// Link events keep coming while the daemon detaches: it must not put back what it has just taken away.
func TestDetachEndsTheDaemonAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{lab: lab.Options{Arms: lab.TwoArms}})
	s.host.AwaitHops(t)
	s.mustPlayAFlip(t)
	calm := s.disturb(t, "eth0")
	if err := s.host.Client.Detach(t.Context(), api.DetachRequest{}); err != nil {
		t.Errorf("detach: %v", err)
	}
	if err := s.host.Wait(); err != nil {
		t.Fatal(err)
	}
	calm()
	if code := s.host.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	s.mustHaveLeftNothing(t)
	for _, name := range s.lab.Interfaces() {
		s.mustRun(t, name, 0)
	}
	if _, err := os.Stat(filepath.Join(s.host.Options().StateDir, "state.json")); err != nil {
		t.Errorf("the state file: %v", err)
	}
	// The state file is what the next start goes by.
	s.start(t)
	if live := s.host.Status(t).Services[0].Live.Colour; live != "green" {
		t.Errorf("after detach and a start %s is live, it was green", live)
	}
}

// disturb makes link events of an interface of the load balancer, until the function that it gives has returned.
func (s *stage) disturb(t *testing.T, name string) (calm func()) {
	t.Helper()
	dev, err := s.lab.LB.Netlink().LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	over, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-over:
				ended <- nil
				return
			default:
			}
			if err := s.lab.LB.Netlink().LinkSetMTU(dev, 1400+n%2); err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() {
		t.Helper()
		close(over)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

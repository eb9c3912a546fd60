package soak

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/test/host"
)

func TestMain(m *testing.M) {
	host.Child()
	os.Exit(m.Run())
}

// soon ends what waits for ever long before the test binary is ended, which would not say what it waited for.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A short one: `make soak` takes an hour.
func TestAWhileBreaksNobody(t *testing.T) {
	f, err := Run(soon(t), Options{Length: 25 * time.Second, Seed: 1, Players: 20, Host: host.Options{Metrics: "127.0.0.1:9595"}, Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + f.Table())
	if f.Tides == 0 || f.Kills == 0 {
		t.Errorf("%d tides with %d kills test nothing", f.Tides, f.Kills)
	}
	if err := f.Grown(); err != nil {
		t.Error(err)
	}
}

// Without pins a flip moves who plays, and the run must say so.
func TestWithoutPinsPlayersBreak(t *testing.T) {
	f, err := Run(soon(t), Options{
		Length: time.Second, Seed: 1, Players: 20, Out: t.Output(),
		Host: host.Options{Metrics: "127.0.0.1:9595", LeaveOut: bpftest.ProgramRuleRULE_PIN | bpftest.ProgramRuleRULE_ORPHAN},
	})
	if err == nil || f.Broken == 0 {
		t.Errorf("nobody is broken: %+v, %v", f, err)
	}
}

package gate

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// bench is a runner in a bubble of time, and the facts that it finds.
type bench struct {
	*Runner
	mu    sync.Mutex
	facts Facts
	err   error
}

func mustBench(tb testing.TB, gates ...config.Gate) *bench {
	tb.Helper()
	b := &bench{}
	b.Runner = &Runner{Gates: gates, Client: http.DefaultClient, Now: time.Now, Began: time.Now(), Facts: func(context.Context) (Facts, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.facts, b.err
	}}
	return b
}

// start runs it, until the returned function.
func (b *bench) start(tb testing.TB) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (b *bench) find(f Facts, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.facts, b.err = f, err
}

// after lets time pass and gives the only gate's reading.
func (b *bench) after(d time.Duration) Reading {
	time.Sleep(d)
	synctest.Wait()
	return b.Readings()[0]
}

func expect(tb testing.TB, r Reading, verdict Verdict, final bool, says string) {
	tb.Helper()
	if r.Verdict != verdict || r.Final != final || !strings.Contains(r.Detail, says) {
		tb.Errorf("got %+v, want %s (final: %t): %s", r, verdict, final, says)
	}
}

// healthy has power, and nothing that is wrong.
func healthy() Facts {
	return Facts{New: Counts{Begun: 100_000, Resets: 100}, Old: Counts{Begun: 100_000, Resets: 100}}
}

// broken fails at once where it may.
func broken() Facts {
	return Facts{New: Counts{Begun: 100_000, Resets: 10_000}, Old: Counts{Begun: 100_000, Resets: 100}}
}

func resets() config.Gate {
	return config.Gate{Name: "resets", Kernel: config.Resets, Window: 16 * time.Minute, Max: &config.Bound{Value: 1.5, Times: true}, OnFail: config.FailPause}
}

func TestAKernelsGateIsJudgedAtItsLooksOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBench(t, resets())
		b.find(healthy(), nil)
		defer b.start(t)()
		expect(t, b.after(30*time.Second), Pending, false, "it is judged at the next look")
		expect(t, b.after(31*time.Second), Pass, false, "100 resets")
		b.find(broken(), nil)
		r := b.after(30 * time.Second)
		expect(t, r, Pass, false, "10000 resets") // the figures are new, the verdict is not
		if r.OnFail != config.FailPause || r.Threshold != "at most 1.5x" {
			t.Errorf("%+v", r)
		}
		expect(t, b.after(31*time.Second), Fail, true, "by more than chance")
		b.find(healthy(), nil)
		expect(t, b.after(time.Hour), Fail, true, "by more than chance")
	})
}

func TestAGateEndsWithItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBench(t, resets())
		b.find(Facts{New: Counts{Begun: 2}, Old: Counts{Begun: 2}}, nil)
		defer b.start(t)()
		expect(t, b.after(15*time.Minute), Pending, false, "too few sessions to be sure yet")
		expect(t, b.after(time.Minute+time.Second), Pass, true, "there were too few sessions to be sure")
		b.find(broken(), nil)
		expect(t, b.after(time.Hour), Pass, true, "there were too few sessions to be sure")
	})
}

// Each look spends a part of alpha: a restart gives none of them back.
func TestAWatchThatGoesOnAfterARestartTakesTheLooksThatAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBench(t, resets())
		b.Began = time.Now().Add(-5 * time.Minute)
		b.find(broken(), nil)
		defer b.start(t)()
		expect(t, b.after(2*time.Minute+50*time.Second), Pending, false, "it is judged at the next look")
		expect(t, b.after(20*time.Second), Fail, true, "by more than chance")
	})
}

func TestCountsThatCantBeReadAreUnknownAndReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBench(t, resets())
		b.find(Facts{}, errors.New("no such map"))
		defer b.start(t)()
		expect(t, b.after(time.Hour), Unknown, false, "read the kernel's counts: no such map")
		b.find(healthy(), nil)
		expect(t, b.after(10*time.Second), Pass, true, "100 resets")
	})
}

func TestAPassHasToHoldForItsWindowAndANoEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := config.Gate{Name: "health", Health: 0.5, Window: time.Minute}
		b := mustBench(t, g)
		b.find(Facts{Backends: 4, Usable: 2}, nil)
		stop := b.start(t)
		expect(t, b.after(30*time.Second), Pending, false, "2 of 4 backends are usable (50%) so far")
		expect(t, b.after(40*time.Second), Pass, true, "2 of 4 backends are usable (50%)")
		stop()

		b = mustBench(t, g)
		b.find(Facts{Backends: 4, Usable: 4}, nil)
		defer b.start(t)()
		b.after(30 * time.Second)
		b.find(Facts{Backends: 4, Usable: 1}, nil)
		expect(t, b.after(5*time.Second), Fail, true, "1 of 4 backends are usable (25%)")
	})
}

func TestAnApprovalWaitsForItsWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBench(t, config.Gate{Name: "go", Approval: "ops"})
		told := 0
		b.Told = func(Reading) { told++ }
		stop := b.start(t)
		expect(t, b.after(24*time.Hour), Pending, false, "waits for ops to approve")
		b.find(Facts{Approved: map[string]string{"go": "alice"}}, nil)
		expect(t, b.after(5*time.Second), Pass, true, "approved by alice")
		if stop(); told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

// One that hangs keeps no other waiting.
func TestEachGateIsReadByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBench(t, config.Gate{Name: "hook", Webhook: "http://h.example/"}, resets())
		b.Client = &http.Client{Transport: hangs{}}
		b.find(healthy(), nil)
		defer b.start(t)()
		b.after(61 * time.Second)
		all := b.Readings()
		expect(t, all[0], Unknown, false, "no answer in time")
		expect(t, all[1], Pass, false, "100 resets")
	})
}

type hangs struct{}

func (hangs) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// draining is a daemon whose drain yields progress. When the last is not done
// it goes on until the client leaves.
func draining(progress ...api.DrainProgress) *apitest.Fake {
	return &apitest.Fake{
		OnDrain: func(ctx context.Context, req api.DrainRequest, yield func(api.DrainProgress) error) error {
			for _, p := range progress {
				p.Service = req.Service
				if err := yield(p); err != nil {
					return err
				}
				if p.Done {
					return nil
				}
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}
}

// at is generation 3 with that many sessions left, which leave at a rate.
func at(left uint64, rate float64) api.DrainProgress {
	p := api.DrainProgress{
		Generation: blue3, State: api.StateDraining, RatePerSecond: rate, Left: api.Sessions{Established: left, Total: left},
	}
	if rate > 0 {
		empty := noon.Add(time.Duration(float64(left) / rate * float64(time.Second)))
		p.EmptyAt = &empty
	}
	return p
}

// drained is the last progress, of a generation.
func drained(number uint32) api.DrainProgress {
	generation := blue3
	generation.Number = number
	return api.DrainProgress{Generation: generation, State: api.StateDrained, Done: true}
}

func evictingAt(p api.DrainProgress, n uint64) api.DrainProgress {
	p.Left.Evicting, p.Left.Established = n, p.Left.Established-n
	return p
}

func more(p api.DrainProgress) api.DrainProgress {
	p.Done = false
	return p
}

// foreseen has a forecast of half an hour and what is more.
func foreseen(p api.DrainProgress, more time.Duration, old uint64) api.DrainProgress {
	p.Verdict = api.VerdictDraining
	p.Forecast = &api.DrainForecast{
		Median: noon.Add(30*time.Minute + more), Low: noon.Add(20 * time.Minute), High: noon.Add(50*time.Minute + more),
		Confidence: 0.8, Ended: 900, Living: 100, OlderThan99: old, Extrapolated: old > 0,
	}
	return p
}

func stuck(p api.DrainProgress) api.DrainProgress {
	p = foreseen(p, 0, 3)
	p.Verdict, p.Evidence = api.VerdictStuck, "3 left: the oldest of 5h0m0s"
	return p
}

func reopened(p api.DrainProgress) api.DrainProgress {
	p.Reopened = 2
	return p
}

func misplaced(p api.DrainProgress) api.DrainProgress {
	p.NewSinceFlip = 1
	return p
}

func TestDrain(t *testing.T) {
	ended := func(by string) api.DrainProgress {
		return api.DrainProgress{Generation: blue3, State: api.StateEnded, EndedBy: by, Left: api.Sessions{Total: 7}, Done: true}
	}
	unsure := api.DrainProgress{Generation: blue3, State: api.StateInconclusive, Reason: "5 unpinned flows may be left until 12:30", Done: true}
	check(t, "drain", []row{
		{name: "drained", args: "drain world --wait", daemon: draining(at(1234, 12.3), reopened(drained(3)))},
		{name: "no rate yet", args: "drain world --wait", daemon: draining(at(1234, 0), drained(3))},
		{name: "with a forecast", args: "drain world --wait", daemon: draining(foreseen(at(1234, 12.3), 0, 0), drained(3))},
		{name: "with a forecast for days", args: "drain world --wait", daemon: draining(foreseen(at(1234, 0), 72*time.Hour, 3), drained(3))},
		{name: "stuck", args: "drain world --wait", daemon: draining(stuck(at(3, 0)), drained(3))},
		{name: "some evicting", args: "drain world --wait", daemon: draining(evictingAt(at(9, 1), 7), drained(3))},
		{name: "on a terminal", args: "drain world --wait", daemon: draining(at(1234, 12.3), at(1200, 12.3), drained(3)), env: onTerminal},
		{name: "new sessions after all", args: "drain world --wait", daemon: draining(misplaced(at(9, 1)), misplaced(drained(3)))},
		{name: "as json", args: "drain world --wait -o json", daemon: draining(at(4, 2), drained(3))},
		{name: "as yaml", args: "drain world --wait -o yaml", daemon: draining(drained(3))},
		{name: "prints no more than is new", args: "drain world --wait", daemon: draining(at(9, 1), at(8, 1), at(7, 1), drained(3))},
		{name: "two generations", args: "drain world --wait", daemon: draining(at(9, 1), more(drained(2)), drained(3))},
		{name: "nothing drains", args: "drain world --wait", daemon: draining(api.DrainProgress{State: api.StateDrained, Done: true})},
		{name: "times out", args: "drain world --wait --timeout 20ms", daemon: draining(), code: exitTimeout},
		{name: "ended by a flip", args: "drain world --wait", daemon: draining(at(9, 1), ended(api.EndedByFlip)), code: exitEnded},
		{name: "ended by a rollback", args: "drain world --wait", daemon: draining(at(9, 1), ended(api.EndedByRollback)), code: exitEnded},
		{name: "inconclusive", args: "drain world --wait", daemon: draining(at(9, 1), unsure), code: exitFailed},
		{name: "one of two inconclusive", args: "drain world --wait", daemon: draining(more(unsure), drained(2)), code: exitFailed},
		{name: "inconclusive for a while", args: "drain world --wait", daemon: draining(more(unsure), drained(3))},
		{name: "one of two not drained", args: "drain world --wait", daemon: draining(at(9, 1), drained(2)), code: exitFailed},
		{name: "unknown generation", args: "drain world --wait --generation 9",
			daemon: failing(api.Errorf(api.NotFound, "world has no generation 9")), code: exitUsage},
	})
}

func TestAWaitThatTheDaemonEndsWithoutAWordIsAFailure(t *testing.T) {
	check(t, "drain", []row{{
		name: "ends early", args: "drain world --wait", code: exitFailed,
		daemon: &apitest.Fake{OnDrain: func(context.Context, api.DrainRequest, func(api.DrainProgress) error) error { return nil }},
	}})
}

func TestAWaitThatTimesOutInDoubtSaysWhy(t *testing.T) {
	for state, want := range map[string]int{api.StateDraining: exitTimeout, api.StateInconclusive: exitFailed} {
		synctest.Test(t, func(t *testing.T) {
			c := &cli{env: env{stdout: io.Discard, now: time.Now}}
			fake := draining(api.DrainProgress{Generation: blue3, State: state, Reason: "the table was full"})
			err := c.await(t.Context(), fake, api.DrainRequest{Service: "world"}, time.Hour, asTable)
			if exitCode(err) != want || (want == exitFailed) != strings.Contains(err.Error(), "inconclusive: the table was full; not drained after 1h") {
				t.Errorf("%s: %v", state, err)
			}
		})
	}
}

func TestAWaitEndsWithTheDaemon(t *testing.T) {
	var stop func()
	fake := &apitest.Fake{OnDrain: func(ctx context.Context, _ api.DrainRequest, yield func(api.DrainProgress) error) error {
		err := yield(at(9, 1))
		go stop()
		<-ctx.Done()
		return errors.Join(err, ctx.Err())
	}}
	socket, end := apitest.Serve(t, fake)
	stop = end
	if out, code := invoke(t, socket, nil, "drain", "world", "--wait"); code != exitNoDaemon {
		t.Error(out)
	}
}

func TestAnInterruptedWaitLeavesTheLiveLineAndSaysThatTheDrainGoesOn(t *testing.T) {
	socket, _ := apitest.Serve(t, draining(at(9, 1)))
	ctx, cancel := context.WithCancel(t.Context())
	var shown, stderr strings.Builder
	stdout := writerFunc(func(p []byte) (int, error) {
		cancel()
		return shown.Write(p)
	})
	e := env{stdout: stdout, stderr: &stderr, terminal: true, getenv: only(socketEnv, socket), now: time.Now}
	if code := run(ctx, e, []string{"drain", "world", "--wait"}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if !strings.HasSuffix(shown.String(), "\x1b[K\x1b[?7h\n") {
		t.Errorf("the live line was not left: %q", shown.String())
	}
	if want := "ebbtide: drain world: interrupted; the drain goes on\n"; stderr.String() != want {
		t.Errorf("got %q, want %q", stderr.String(), want)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestALineIsPrintedAgainAfterAWhile(t *testing.T) {
	now := noon
	tick := func() time.Time {
		now = now.Add(quiet)
		return now
	}
	socket, _ := apitest.Serve(t, draining(at(9, 1), at(8, 1), drained(3)))
	out, _ := invoke(t, socket, func(e *env) { e.now = tick }, "drain", "world", "--wait")
	if got := strings.Count(out, " left, "); got != 2 {
		t.Errorf("%d lines, want 2:\n%s", got, out)
	}
}

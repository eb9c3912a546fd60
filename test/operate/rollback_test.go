package operate

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// watch is a drain that somebody waits for: over has what the wait ended with.
type watch struct {
	over chan error
	last api.DrainProgress // valid when over has been read
}

// watchDrain begins to wait, and returns when the daemon has told how it stands.
func (s *stage) watchDrain(t *testing.T) *watch {
	t.Helper()
	w, told := &watch{over: make(chan error, 1)}, make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	var once sync.Once
	go func() {
		w.over <- s.host.Client.WatchDrain(ctx, api.DrainRequest{Service: service}, func(p api.DrainProgress) error {
			w.last = p
			once.Do(func() { close(told) })
			return nil
		})
	}()
	<-told
	return w
}

// mustEnd waits for the end of the wait, and checks how the drain ended.
func (w *watch) mustEnd(t *testing.T, state, by string, left uint64) {
	t.Helper()
	select {
	case err := <-w.over:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(lab.ForEver):
		t.Fatal("the wait goes on and on")
	}
	if p := w.last; !p.Done || p.State != state || p.EndedBy != by || p.Left.Total != left {
		t.Errorf("the drain ended with %+v, want it %s by %q with %d left", p, state, by, left)
	}
}

func (s *stage) flip(t *testing.T) api.FlipResult {
	t.Helper()
	res, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (s *stage) rollback(t *testing.T) api.FlipResult {
	t.Helper()
	res, err := s.host.Client.Rollback(t.Context(), api.RollbackRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestARollbackOrASecondFlipEndsTheDrainAndTheOldColourIsLiveAgain(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		by   string
		back func(*stage, *testing.T) api.FlipResult
	}{
		{api.EndedByRollback, (*stage).rollback},
		{api.EndedByFlip, (*stage).flip},
	} {
		t.Run(row.by, func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{})
			s.login(t, "blue")
			s.flip(t)
			w := s.watchDrain(t)
			guest := s.login(t, "green")
			res := row.back(s, t)
			w.mustEnd(t, api.StateEnded, row.by, 2)
			if res.Live.Number != 1 || res.Old.Number != 2 || res.NewOnOld != 0 || res.SessionsOnOld != 2 {
				t.Errorf("the way back: %+v, old %+v", res, res.Old)
			}
			if svc := s.service(t); svc.Live.Colour != "blue" || svc.Generations[0].State != api.StateLive {
				t.Errorf("after the way back the service is %+v", svc)
			}
			s.login(t, "blue")
			s.mustBeWhole(t)
			w = s.watchDrain(t)
			guest.Logout()
			w.mustEnd(t, api.StateDrained, "", 0)
			s.mustBeWhole(t)
		})
	}
}

// Whoever waits is told of the rollback, though the colour drains anew by the time that he hears of it.
func TestAWaitThatARollbackEndsStaysEndedWhenAFlipFollowsAtOnce(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.login(t, "blue")
	s.flip(t)
	s.restart(t, "flip: barrier")
	w := s.watchDrain(t)
	var both sync.WaitGroup
	both.Go(func() { s.host.Client.Rollback(t.Context(), api.RollbackRequest{Service: service}) })
	if err := s.host.Stopped(); err != nil {
		t.Fatal(err)
	}
	both.Go(func() { s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service, To: "green"}) })
	if err := s.host.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	both.Wait()
	if g := s.generation(t, 1); g.State != api.StateDraining {
		t.Fatalf("blue is %s after the flip that followed, want it draining again", g.State)
	}
	w.mustEnd(t, api.StateEnded, api.EndedByRollback, 2)
	s.mustBeWhole(t)
}

// restart starts the daemon again, which stops before a kernel write.
func (s *stage) restart(t *testing.T, before string) {
	t.Helper()
	if err := s.host.Stop(); err != nil {
		t.Fatal(err)
	}
	s.host.Options().StopOn = before
	s.start(t)
	s.host.AwaitHops(t)
}

// A flip's wait begins when the flip has returned: a rollback may have come between.
func TestAWaitThatBeginsAfterTheRollbackIsToldOfIt(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.login(t, "blue")
	s.flip(t)
	s.rollback(t)
	s.do(t, "drain", "world", "--wait", "--generation", "1").mustBe(t, 4, "world: "+blue1+": ended by a rollback with 2 left\n",
		"ebbtide: drain world: "+blue1+": the drain was ended by a rollback\n")
	s.mustBeWhole(t)
}

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

var _ api.Keeper = (*Controller)(nil)

// keyed asks for a flip of s0 with a key.
func (c *Controller) keyed(ctx context.Context, key, digest string, req api.FlipRequest) (string, error) {
	res, err := c.Once(ctx, api.Keyed{Key: key, Verb: "flip", Digest: digest}, func(ctx context.Context) (json.RawMessage, error) {
		req.Service, req.Force = "s0", true
		res, err := c.Flip(ctx, req)
		if err != nil {
			return nil, err
		}
		return json.Marshal(res)
	})
	return string(res), err
}

func (c *Controller) live() uint32 { return c.image.Generations[c.image.Services[1].Steer.Live].Number }

func TestARequestWithAKeyIsDoneOnce(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	now := time.Now()
	c.opt.Now = func() time.Time { return now }
	first, err := c.keyed(t.Context(), "k", "d", api.FlipRequest{})
	must(t, err)
	if c.live() != 2 {
		t.Fatal("no flip")
	}
	_, err = c.Rollback(t.Context(), api.RollbackRequest{Service: "s0"})
	must(t, err)
	restarted := func() {
		c.keys = keys{}
		must(t, c.loadKeys())
	}
	for _, restart := range []func(){func() {}, restarted} {
		restart()
		again, err := c.keyed(t.Context(), "k", "d", api.FlipRequest{})
		if err != nil || again != first || c.live() != 1 {
			t.Errorf("again: %s, %v; generation %d is live", again, err, c.live())
		}
		_, err = c.keyed(t.Context(), "k", "another", api.FlipRequest{})
		mustRefuse(t, err, api.Refused, `key "k": another request came with it, a flip`)
		now = now.Add(keyAge - time.Minute) // from here on the journal's events are that old
		restart()
		if _, err := c.keyed(t.Context(), "k", "d", api.FlipRequest{}); err != nil || c.live() != 1 {
			t.Errorf("just before its end: %v", err)
		}
		now = now.Add(-keyAge + time.Minute)
	}
	now = now.Add(keyAge + time.Hour)
	if _, err := c.keyed(t.Context(), "k", "d", api.FlipRequest{}); err != nil || c.live() != 2 {
		t.Errorf("a key that is too old: %v, generation %d is live", err, c.live())
	}
}

func TestWhatWasRefusedLeavesItsKeyFreeAndWhatFailedDoesNot(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	must(t, c.save(c.image))
	_, err := c.Lock(t.Context(), api.LockRequest{Service: "s0", Act: api.Act{Reason: "tournament"}, ForSeconds: 60})
	must(t, err)
	_, err = c.keyed(t.Context(), "k", "d", api.FlipRequest{})
	mustRefuse(t, err, api.Refused, "locked by")
	must(t, c.Unlock(t.Context(), api.UnlockRequest{Service: "s0"}))
	if _, err = c.keyed(t.Context(), "k", "d", api.FlipRequest{}); err != nil || c.live() != 2 {
		t.Errorf("after a refusal: %v", err)
	}
	times := 0
	fails := func(ctx context.Context) (json.RawMessage, error) {
		times++
		a, err := c.begin(ctx, actEvict, "s0", "", nil, nil)
		must(t, err)
		a.end(nil, errors.New("disk on fire"))
		return nil, errors.New("disk on fire")
	}
	for range 2 {
		_, err := c.Once(t.Context(), api.Keyed{Key: "f", Verb: "evict"}, fails)
		if err == nil || err.Error() != "disk on fire" || times != 1 {
			t.Errorf("%v, done %d times", err, times)
		}
		c.keys = keys{}
		must(t, c.loadKeys())
	}
	long := json.RawMessage(`"` + string(make([]byte, maxAnswer)) + `"`)
	if _, err := c.Once(t.Context(), api.Keyed{Key: "l"}, func(context.Context) (json.RawMessage, error) { return long, nil }); err != nil {
		t.Error(err)
	}
	_, err = c.Once(t.Context(), api.Keyed{Key: "l"}, fails)
	mustRefuse(t, err, api.Refused, "too large")
}

// newJournaled is a controller of nothing but its journal.
func newJournaled(t *testing.T) *Controller {
	t.Helper()
	events, err := journal.Open(t.TempDir(), time.Now)
	must(t, err)
	t.Cleanup(func() { must(t, events.Close()) })
	return &Controller{opt: Options{Now: time.Now, Journal: events}, log: slog.New(slog.DiscardHandler)}
}

func TestARequestThatACrashCutShortIsNotDoneAgain(t *testing.T) {
	c := newJournaled(t)
	_, err := c.opt.Journal.Append(journal.Event{Act: actFlip, Stage: journal.Begun, Service: "s0", Key: "k"})
	must(t, err)
	must(t, c.loadKeys())
	_, err = c.keyed(t.Context(), "k", "d", api.FlipRequest{})
	mustRefuse(t, err, api.Refused, `key "k": its request began with event 1 of the journal, and a crash hid the answer`)
}

func TestARequestIsNotDoneBesideItself(t *testing.T) {
	c := newJournaled(t)
	_, err := c.Once(t.Context(), api.Keyed{Key: "k", Verb: "flip", Digest: "d"}, func(ctx context.Context) (json.RawMessage, error) {
		_, err := c.keyed(ctx, "k", "d", api.FlipRequest{})
		mustRefuse(t, err, api.Unavailable, "under way")
		return nil, nil
	})
	must(t, err)
}

func TestKeysAreBounded(t *testing.T) {
	var s keys
	begin := time.Now()
	for i := range 3 * mostKeys {
		s.put(fmt.Sprint(i), kept{at: begin.Add(time.Duration(i) * time.Millisecond)})
	}
	if n := len(s.kept); n > mostKeys || n < mostKeys/2 {
		t.Errorf("%d are kept", n)
	}
	if _, there := s.kept[fmt.Sprint(3*mostKeys-1)]; !there {
		t.Error("the newest is gone")
	}
}

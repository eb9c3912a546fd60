package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/disk"
	"github.com/ebbtide/ebbtide/internal/release"
)

// doDue does what is due in a record's state, and says whether the kernel was changed. What takes its time is begun, and
// goes on without the lock. An act that failed stops the release; one that could not be written down was not done, and is
// due again.
func (c *Controller) doDue(r release.Record) (acted bool, err error) {
	c.watchGates(r)
	c.askCandidate(r)
	for _, a := range release.Due(r, c.facts(r)) {
		var err error
		switch a.Kind {
		case release.RunHook:
			c.beginHook(r, a.Hook)
			continue
		case release.Evict:
			c.beginMoving(r, a)
			continue
		case release.Flip:
			_, err = c.releaseFlip(context.Background(), api.Act{}, r, true)
		case release.SetShare:
			err = c.releaseShare(r, a)
		case release.Close:
			err = c.releaseClose(r)
		case release.Rest:
			err = c.releaseRest(r)
		case release.Open:
			err = c.releaseOpen(r)
		}
		if disk.Is(err) {
			return acted, err
		}
		acted = true
		if err != nil {
			c.tellFailed(r, a, err)
			return acted, nil
		}
		c.outOfTrouble(r.Service)
	}
	return acted, nil
}

// tellRelease steps a release by something that has happened. The lock is held.
func (c *Controller) tellRelease(name string, number uint32, in release.Input) {
	r, ok := c.releaseOf(name, number)
	if !ok {
		return
	}
	next, t, _ := release.Step(r, in, c.facts(r), c.releaseNow())
	if _, err := c.keep(context.Background(), r, next, t); err != nil {
		c.inTrouble(name, err)
	}
}

// because is the reason that the journal has for an act of a release.
func because(r release.Record) string { return fmt.Sprintf("release %d is %s", r.Number, r.State) }

// tellFailed steps a release by an act that failed: of a flip, with those of its group that were to make it.
func (c *Controller) tellFailed(r release.Record, a release.Act, err error) {
	all := []release.Record{r}
	if a.Kind == release.Flip {
		all = c.goingWith(r)
	}
	for _, one := range all {
		c.tellRelease(one.Service, one.Number, release.Input{Event: release.ActFailed, Why: err.Error()})
	}
}

// releaseFlip flips a release's service, or takes it back, in one step with those of its group that are there, too. A count of
// what is left may be shared with the flips of other services.
func (c *Controller) releaseFlip(ctx context.Context, act api.Act, r release.Record, shared bool) (api.GroupFlipResult, error) {
	what, group := actRollback, ""
	if r.State == release.Flipping {
		what = actFlip
	}
	if r.Group != nil {
		group = r.Group.Name
	}
	var moves []move
	for _, one := range c.goingWith(r) {
		service, to, err := c.whereTo(one)
		if err != nil {
			return api.GroupFlipResult{}, err
		}
		moves = append(moves, move{service: service, to: to, shared: shared})
	}
	act.Reason = cmp.Or(act.Reason, because(r))
	// Its way back was agreed to when it began: a lock does not keep it from that.
	act.BreakLock = act.BreakLock || r.State == release.RollingBack
	return c.journaledFlips(ctx, what, act, moves, group)
}

// whereTo is the generation that a release flips to now, where it may.
func (c *Controller) whereTo(r release.Record) (service, to uint16, err error) {
	number := r.From.Number
	if r.State == release.Flipping {
		number = r.To.Number
	}
	service, ok := c.image.ServiceNamed(r.Service)
	if to = c.generationNumbered(service, number); !ok || to == 0 {
		return 0, 0, fmt.Errorf("flip: service %s: generation %d is gone", r.Service, number)
	}
	if r.State == release.Flipping && !r.Forced {
		err = c.mayFlip(service, to)
	}
	return service, to, err
}

func (c *Controller) releaseShare(r release.Record, a release.Act) error {
	service, ok := c.image.ServiceNamed(r.Service)
	if !ok {
		return fmt.Errorf("share: the service is gone")
	}
	return c.journaledShare(context.Background(), service, because(r), a.Share)
}

// background runs what takes its time, one of a name at once. What is told when it has ended is told with the lock held.
func (c *Controller) background(name string, do func(context.Context) error, ended func(error)) {
	if _, runs := c.releases.running[name]; runs || c.releases.ctx == nil {
		return
	}
	if c.releases.running == nil {
		c.releases.running = map[string]context.CancelCauseFunc{}
	}
	ctx, cancel := context.WithCancelCause(c.releases.ctx)
	c.releases.running[name] = cancel
	c.releases.works.Go(func() {
		err := do(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		stopped := ctx.Err() != nil // that may have been while it waited for the lock
		cancel(nil)
		delete(c.releases.running, name)
		if !stopped { // whoever stopped it knows; after the daemon's end the next one begins again
			ended(err)
		}
		c.changed()
	})
}

// beginHook begins a hook, unless it runs.
func (c *Controller) beginHook(r release.Record, h release.Hook) {
	c.background(h.Key, func(ctx context.Context) error {
		if c.releases.hook != nil {
			return c.releases.hook(ctx, r, h)
		}
		return c.releaseHook(ctx, r, h)
	}, func(err error) {
		if c.dueAgain(r, err) {
			return
		}
		in := release.Input{Event: release.HookDone, Key: h.Key}
		if err != nil {
			in.Event, in.Why = release.HookFailed, fmt.Sprintf("the hook of %s: %s", h.Transition, err)
		}
		c.tellRelease(r.Service, r.Number, in)
	})
}

// dueAgain says whether what a release began has ended without its fault, and is begun again: what could not be written down
// was not done, and who was not found since the tables were replaced is looked for in the new ones.
func (c *Controller) dueAgain(r release.Record, err error) bool {
	if disk.Is(err) {
		c.inTrouble(r.Service, err)
		return true
	}
	return errors.Is(err, errTablesReplaced)
}

// stopHooks stops those that a release no longer waits for: an update under a release that is taken back is no use, and may
// do harm. A program is ended as by its timeout, and the journal says why.
func (c *Controller) stopHooks(was, is release.Record) {
	for _, h := range was.Pending {
		if stop := c.releases.running[h.Key]; stop != nil && !slices.Contains(is.Pending, h) {
			stop(fmt.Errorf("release %d is %s: %s", is.Number, is.State, cmp.Or(is.Why, "somebody said so")))
		}
	}
}

// endingHook is the transition of a release's hook that runs though nothing waits for it: it is being stopped. Empty: none.
func (c *Controller) endingHook(r release.Record) string {
	own := fmt.Sprintf("%s/%d/", r.Service, r.Number)
	for key := range c.releases.running {
		if transition, its := strings.CutPrefix(key, own); its && !slices.ContainsFunc(r.Pending, func(h release.Hook) bool { return h.Key == key }) {
			transition, _, _ = strings.Cut(transition, "/")
			return transition
		}
	}
	return ""
}

// evictionsOf is what the names of a release's evictions begin with. Each is of a state: in the next one it is not due, or
// another one is.
func evictionsOf(r release.Record) string { return fmt.Sprintf("evict %s %d ", r.Service, r.Number) }

func evictionName(r release.Record) string { return evictionsOf(r) + string(r.State) }

// beginMoving begins to move sessions, unless it does. It ends with the state that it is due in.
func (c *Controller) beginMoving(r release.Record, a release.Act) {
	req := api.EvictRequest{
		Act: api.Act{Reason: because(r), BreakLock: r.State == release.RollingBack}, Service: r.Service, Generation: a.Generation,
		Batch: a.Batch, EverySeconds: max(api.MinEvictEvery, a.Every).Seconds(), Force: !r.Plan.Strategy.Flips(),
	}
	if req.Batch == 0 {
		req.Batch = math.MaxUint32
	}
	c.background(evictionName(r), func(ctx context.Context) error {
		return c.Evict(ctx, req, func(api.EvictProgress) error { return nil })
	}, func(err error) { c.movingEnded(r, err) })
}

func (c *Controller) movingEnded(r release.Record, err error) {
	switch {
	case c.dueAgain(r, err):
	case err == nil:
		c.outOfTrouble(r.Service)
	default:
		c.tellRelease(r.Service, r.Number, release.Input{Event: release.ActFailed, Why: "move sessions: " + err.Error()})
	}
}

// stopEvicting ends what is no longer due in a record's state.
func (c *Controller) stopEvicting(r release.Record) {
	for name, stop := range c.releases.running {
		if strings.HasPrefix(name, evictionsOf(r)) && name != evictionName(r) {
			stop(nil)
		}
	}
}

package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/state"
)

// Lock keeps everybody from changing a service until a time. It is in the state file, and so outlives a reboot.
func (c *Controller) Lock(ctx context.Context, req api.LockRequest) (api.Lock, error) {
	now := c.opt.Now().UTC().Round(0)
	lock := &state.Lock{By: actorOf(ctx).String(), Reason: req.Reason, Since: now, Until: now.Add(req.For())}
	if err := c.setLock(ctx, actLock, req.Service, req.Reason, lock); err != nil {
		return api.Lock{}, err
	}
	return shownLock(req.Service, lock), nil
}

// Unlock lets changes happen again. Of a service that is not locked it is refused: somebody else has unlocked it.
func (c *Controller) Unlock(ctx context.Context, req api.UnlockRequest) error {
	return c.setLock(ctx, actUnlock, req.Service, req.Reason, nil)
}

// setLock saves a lock, nil for none.
func (c *Controller) setLock(ctx context.Context, what, name, reason string, lock *state.Lock) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return err
	}
	if _, err := c.service(name); err != nil {
		return err
	}
	was := c.state.Services[name].Lock
	if lock == nil && !c.holds(was) {
		return api.Errorf(api.Refused, "service %s: it is not locked", name)
	}
	a, err := c.begin(ctx, what, name, reason, was, lock)
	if err != nil {
		return err
	}
	next := c.state
	next.Services = maps.Clone(next.Services)
	s := next.Services[name]
	s.Lock = lock
	next.Services[name] = s
	err = c.saveState(next)
	a.end(lock, err)
	c.changed()
	return err
}

// holds says whether a lock is one now.
func (c *Controller) holds(l *state.Lock) bool { return l != nil && c.opt.Now().Before(l.Until) }

// unlocked refuses a change of services of which one is locked or frozen, unless the actor breaks that. The journal gets it
// before the act itself.
func (c *Controller) unlocked(ctx context.Context, a api.Act, services ...string) error {
	slices.Sort(services)
	services = slices.Compact(services)
	if err := c.unlockedByHand(ctx, a, services...); err != nil {
		return err
	}
	return c.unfrozen(ctx, a, services...)
}

// unlockedByHand is unlocked for what takes a change back: a freeze window does not keep anybody from that, a lock does.
func (c *Controller) unlockedByHand(ctx context.Context, a api.Act, services ...string) error {
	slices.Sort(services)
	for _, name := range slices.Compact(services) {
		lock := c.state.Services[name].Lock
		if !c.holds(lock) {
			continue
		}
		if !a.BreakLock {
			return api.Errorf(api.Refused, "service %s: locked by %s until %s: %s; wait, ask him, or give --break-lock",
				name, lock.By, lock.Until.Format(time.RFC3339), lock.Reason)
		}
		b, err := c.begin(ctx, actBreakLock, name, a.Reason, lock, nil)
		if err != nil {
			return err
		}
		b.end(nil, nil)
	}
	return nil
}

// lockOf is what status shows.
func (c *Controller) lockOf(name string) *api.Lock {
	lock := c.state.Services[name].Lock
	if !c.holds(lock) {
		return nil
	}
	out := shownLock(name, lock)
	return &out
}

func shownLock(service string, l *state.Lock) api.Lock {
	return api.Lock{Service: service, By: l.By, Reason: l.Reason, Since: l.Since, Until: l.Until}
}

// servicesOf are those that a plan changes.
func servicesOf(plan api.Plan) (names []string) {
	for _, change := range plan.Changes {
		if change.Service != "" {
			names = append(names, change.Service)
		}
	}
	return names
}

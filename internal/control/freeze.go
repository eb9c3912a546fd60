package control

import (
	"context"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/freeze"
	"github.com/ebbtide/ebbtide/internal/state"
)

// setCalendar makes the calendar of what the state file says: the windows that were applied hold also where a file that
// came later could not be read, and against a reload that would lift them.
func (c *Controller) setCalendar() {
	freezes := make([]config.Freeze, len(c.state.Freeze))
	for i, f := range c.state.Freeze {
		freezes[i] = config.Freeze(f)
	}
	calendar, err := freeze.New(freezes)
	if err != nil { // an older program's, or somebody's who edits the state file
		c.log.Error("the freeze windows in the state file don't hold; a reload that changes them mends that", "err", err)
		calendar = new(freeze.Calendar)
	}
	c.freezes = *calendar
}

// unfrozen refuses a change of services of which one is frozen, unless the actor breaks that, as he would a lock.
func (c *Controller) unfrozen(ctx context.Context, a api.Act, services ...string) error {
	for _, name := range services {
		w, held := c.freezes.Holds(name, c.opt.Now())
		switch {
		case !held:
			continue
		case !a.BreakLock:
			return api.Errorf(api.Refused, "service %s: frozen until %s by the configuration: %s; wait, or give --break-lock",
				name, w.Until.Format(time.RFC3339), w.Reason)
		}
		b, err := c.begin(ctx, actBreakLock, name, a.Reason, shownFreeze(w), nil)
		if err != nil {
			return err
		}
		b.end(nil, nil)
	}
	return nil
}

// freezeOf is what status shows: the window that a service is in, and the first that begins after it.
func (c *Controller) freezeOf(name string) (now, next *api.Freeze) {
	from := c.opt.Now()
	if w, held := c.freezes.Holds(name, from); held {
		now, from = shownFreeze(w), w.Until
	}
	if w, found := c.freezes.Next(name, from); found {
		next = shownFreeze(w)
	}
	return now, next
}

func shownFreeze(w freeze.Window) *api.Freeze {
	return &api.Freeze{Reason: w.Reason, From: w.From, Until: w.Until}
}

// planFreezes says what a reload changes of the windows. One that ends a freeze before its time, or shortens it, is a change
// of the service that is frozen, and so is refused while it is: whoever may not change a service may not do so in two steps.
func (c *Controller) planFreezes(cfg *config.Config, d *describer) error {
	was, is := c.state.Freeze, freezesOf(cfg)
	if slices.EqualFunc(was, is, equalFreeze) {
		return nil
	}
	d.add("", "freeze windows: %d, before it %d", len(is), len(was))
	after, err := freeze.New(cfg.Freeze)
	if err != nil {
		return err
	}
	for _, index := range c.serviceIndexes() {
		name := c.image.Services[index].Name
		old, frozen := c.freezes.Holds(name, c.opt.Now())
		if !frozen {
			continue
		}
		switch w, still := after.Holds(name, c.opt.Now()); {
		case !still:
			d.add(name, "no longer frozen: the freeze until %s ends now", old.Until.Format(time.RFC3339))
		case w.Until.Before(old.Until):
			d.add(name, "frozen until %s, no longer until %s", w.Until.Format(time.RFC3339), old.Until.Format(time.RFC3339))
		}
	}
	return nil
}

func freezesOf(cfg *config.Config) []state.Freeze {
	var out []state.Freeze
	for _, f := range cfg.Freeze {
		out = append(out, state.Freeze(f))
	}
	return out
}

func equalFreeze(a, b state.Freeze) bool {
	return slices.Equal(a.Services, b.Services) && a.Cron == b.Cron && a.For == b.For && a.TimeZone == b.TimeZone && a.Reason == b.Reason
}

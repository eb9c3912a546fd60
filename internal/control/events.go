package control

import (
	"context"
	"maps"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Events implements api.Controller. Nothing waits for whoever reads: journal events are read from the file, and of drains
// only where they stand is told.
func (c *Controller) Events(ctx context.Context, req api.EventsRequest, yield func(api.Event) error) error {
	f := follower{c: c, req: req, drains: map[uint16]api.DrainProgress{}}
	if req.Service != "" {
		c.mu.Lock()
		_, err := c.service(req.Service)
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	_, f.seen = c.opt.Journal.More()
	if req.After != nil {
		f.seen = min(f.seen, *req.After) // a journal that was set aside may have had more
	}
	if err := yield(api.Event{}); err != nil {
		return err
	}
	for {
		change, more, err := f.tell(yield)
		if err != nil || req.Once {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-change:
		case <-more:
		}
	}
}

// follower is what somebody who follows events has been told.
type follower struct {
	c      *Controller
	req    api.EventsRequest
	seen   uint64 // number of the last journal event
	drains map[uint16]api.DrainProgress
}

// tell yields what is new, and gives channels that are closed when there is more.
func (f *follower) tell(yield func(api.Event) error) (change, more <-chan struct{}, err error) {
	progress, change, err := f.progress()
	if err != nil {
		return nil, nil, err
	}
	more, err = f.journal(yield)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range progress {
		if err := yield(api.Event{Drain: &p}); err != nil {
			return nil, nil, err
		}
	}
	return change, more, nil
}

// journal yields what the journal has behind what was seen.
func (f *follower) journal(yield func(api.Event) error) (<-chan struct{}, error) {
	if more, last := f.c.opt.Journal.More(); f.seen >= last {
		return more, nil // not read from its beginning for nothing
	}
	var events []journal.Event
	more, err := f.c.opt.Journal.Read(f.seen, func(e journal.Event) error {
		f.seen = e.Seq
		if f.req.Wants(e) {
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if err := yield(api.Event{Journal: &e}); err != nil {
			return nil, err
		}
	}
	return more, nil
}

// progress is where the drains stand of which that was not told yet: all that drain, and those that have just ended.
func (f *follower) progress() ([]api.DrainProgress, <-chan struct{}, error) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []api.DrainProgress
	for _, g := range slices.Sorted(maps.Keys(c.drains)) {
		rec, there := c.image.Generations[g]
		was, told := f.drains[g]
		if !there || f.req.Service != "" && c.image.Services[rec.Service].Name != f.req.Service || rec.State != kernel.Draining && !told {
			continue
		}
		now, err := c.progressOf(g, watched{c.image.Services[rec.Service].Name, c.ref(g), c.drains[g]})
		if err != nil {
			return nil, nil, err
		}
		if !told || now.State != was.State || now.Reason != was.Reason || now.Left != was.Left || now.NewSinceFlip != was.NewSinceFlip || now.Reopened != was.Reopened {
			out = append(out, now)
		}
		f.drains[g] = now
		if rec.State != kernel.Draining {
			delete(f.drains, g)
		}
	}
	return out, c.change, nil
}

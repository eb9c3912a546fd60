package control

import (
	"context"
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// eviction is one that is under way. Where the service's affinity is client, a session is a client's, whose entry lies in
// the same table as those of his flows, and is marked with them; then what flows there are without one.
type eviction struct {
	req    api.EvictRequest
	client netip.Prefix
	vips   [2]uint16 // of the entries of sessions, by family, while these are marked; 0: flows are
	at     uint16    // index of the generation
	ref    api.GenerationRef
	found  uint64
	marked uint64
	before uint64 // sessions that the generation had lost when it began
	moved  uint64 // those that it has lost since, at the last look
}

// Evict marks sessions in batches, and waits an interval after each: the last time for what it marked last. Each batch
// looks anew whether it may: a rollback may have made the generation live.
func (c *Controller) Evict(ctx context.Context, req api.EvictRequest, yield func(api.EvictProgress) error) error {
	e, err := c.beginEviction(ctx, req)
	if err != nil {
		return err
	}
	a, err := c.begin(ctx, actEvict, req.Service, req.Reason, nil, evictionIs{
		Generation: e.ref, Client: req.Client, Found: e.found, Batch: req.Batch, Every: req.EverySeconds,
	})
	if err != nil {
		return err
	}
	err = c.runEviction(ctx, e, yield)
	a.end(evictionIs{Generation: e.ref, Client: req.Client, Found: e.found, Marked: &e.marked, Moved: &e.moved}, err)
	return err
}

// runEviction marks batch after batch.
func (c *Controller) runEviction(ctx context.Context, e *eviction, yield func(api.EvictProgress) error) error {
	ticker := time.NewTicker(e.req.Every())
	defer ticker.Stop()
	for over := e.found == 0; ; {
		p, err := c.evictBatch(ctx, e, &over)
		if err != nil {
			return err
		}
		if err := yield(p); err != nil || p.Done {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// beginEviction refuses what may not be, and counts what there is to mark.
func (c *Controller) beginEviction(ctx context.Context, req api.EvictRequest) (*eviction, error) {
	e := &eviction{req: req}
	var err error
	if e.client, err = req.ClientPrefix(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if err = c.mayEvict(e); err == nil {
		err = c.unlocked(ctx, req.Act, req.Service)
	}
	tables, im := c.plane.Tables, c.image
	var n kernel.Counters
	if err == nil {
		n, err = tables.Counters(e.at) // with the lock: an upgrade closes the tables that it replaces
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	e.before = n.Moved
	service, _ := im.ServiceNamed(req.Service)
	if s := im.Services[service]; s.Affinity != kernel.AffinityFlow {
		e.vips = s.SessionVIP
	}
	return e, e.count(ctx, tables, im, c.pieces(tables))
}

// wanted are the sessions and flows that may be marked.
func (e *eviction) wanted(im *image.Image) kernel.Wanted {
	return kernel.Wanted{Client: e.client, Meta: func(m kernel.Meta) bool {
		s := m.State()
		return (s == kernel.HalfOpen || s == kernel.Young || s == kernel.Established) && im.Backends[m.Backend()].Generation == e.at
	}}
}

// count counts them: sessions of clients where there are such.
func (e *eviction) count(ctx context.Context, tables *kernel.Tables, im *image.Image, piece func(func(now uint32)) error) error {
	want := e.wanted(im)
	for _, f := range kernel.Families() {
		for next, end := uint32(0), tables.SlotCount(f); next < end; {
			err := piece(func(uint32) {
				next = tables.Scan(f, next, min(next+pieceSlots, end), want, func(flow kernel.Flow) bool {
					if e.vips == [2]uint16{} || flow.VIP == e.vips[f] {
						e.found++
					}
					return true
				})
			})
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// mayEvict finds the generation, and refuses one that would get its sessions back.
func (c *Controller) mayEvict(e *eviction) error {
	if err := c.there(); err != nil {
		return err
	}
	service, err := c.service(e.req.Service)
	if err != nil {
		return err
	}
	if rest := c.plane.Importing(); rest != "" {
		return api.Errorf(api.Refused, "service %s: still to be imported: %s; reload goes on with it", e.req.Service, rest)
	}
	e.at = 0
	for _, g := range c.image.GenerationsOf(service) {
		if c.image.Generations[g].Number == e.req.Generation {
			e.at = g
		}
	}
	if e.at == 0 {
		return api.Errorf(api.NotFound, "service %s: there is no generation %d, or it is gone", e.req.Service, e.req.Generation)
	}
	e.ref = c.ref(e.at)
	steer := c.image.Services[service].Steer
	switch {
	case e.req.Force || steer.Busy: // nobody comes back to a closed service
	case steer.Live == e.at:
		return api.Errorf(api.Refused, "service %s: generation %d is live: its sessions would come back to it; flip first, or give --force", e.req.Service, e.ref.Number)
	case steer.Live == 0:
		return api.Errorf(api.Refused, "service %s: nothing is live that the sessions could move to; give --force to end them", e.req.Service)
	case steer.Candidate == e.at && steer.Share > 0:
		return api.Errorf(api.Refused, "service %s: generation %d has a share of the clients, who would come back to it; set the share to 0%% first, or give --force", e.req.Service, e.ref.Number)
	}
	return nil
}

// evictBatch marks a batch, unless all is marked, and counts what became of those before. The progress is the last when
// it was called with over set; it sets that once there is nothing more to mark.
func (c *Controller) evictBatch(ctx context.Context, e *eviction, over *bool) (api.EvictProgress, error) {
	p, gone, err := c.markBatch(ctx, e, over)
	if err != nil || gone {
		return p, err
	}
	c.mu.Lock()
	n, err := c.plane.Tables.Counters(e.at)
	c.mu.Unlock()
	if err != nil {
		return p, err
	}
	// Others may evict at the same time, as many services that are released do: one count is good for all.
	now, err := c.countSoon()
	if err != nil {
		return p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.at.After(c.last.at) {
		c.last = now
	}
	c.changed()
	e.moved = n.Moved - e.before
	if p.Moved = e.moved; c.image.Generations[e.at].Number == e.ref.Number {
		p.Evicting = c.sessions(e.at).Evicting
	}
	return p, nil
}

// markBatch marks a batch, and says whether the generation is gone.
func (c *Controller) markBatch(ctx context.Context, e *eviction, over *bool) (p api.EvictProgress, gone bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil { // what was stopped while this waited for the lock marks nobody any more
		return p, false, context.Cause(ctx)
	}
	p = api.EvictProgress{Service: e.req.Service, Done: *over}
	gone = c.image.Generations[e.at].Number != e.ref.Number // drained, and collected since
	if p.Done = p.Done || gone; !p.Done {
		if err := c.mayEvict(e); err != nil {
			return p, gone, err
		}
		n, err := c.mark(e)
		if err != nil {
			return p, gone, err
		}
		e.marked += n
		*over = n < uint64(e.req.Batch) || e.marked >= e.found
		if *over && e.vips != [2]uint16{} {
			e.vips, e.found = [2]uint16{}, e.marked
			tables := c.plane.Tables
			err := e.count(ctx, tables, c.image, c.pieces(tables))
			if *over = e.found == e.marked; err != nil {
				return p, gone, err
			}
		}
	}
	p.Generation, p.Found, p.Marked, p.Moved = e.ref, e.found, e.marked, e.moved
	return p, gone, nil
}

// mark marks a batch at most, and never more than there were when it began.
func (c *Controller) mark(e *eviction) (uint64, error) {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	most := min(uint64(e.req.Batch), e.found-e.marked)
	c.step("evict: mark")
	if e.vips != [2]uint16{} {
		return uint64(c.plane.Tables.EvictClients(e.vips, e.wanted(c.image), uint32(most))), nil
	}
	service, _ := c.image.ServiceNamed(e.req.Service)
	n, err := c.plane.Evict(kernel.Eviction{Service: service, Generation: e.at, Client: e.client}, uint32(most))
	return uint64(n), err
}

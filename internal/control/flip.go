package control

import (
	"context"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Flip makes a colour live: one store, then a barrier.
func (c *Controller) Flip(_ context.Context, req api.FlipRequest) (api.FlipResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return api.FlipResult{}, err
	}
	service, err := c.service(req.Service)
	if err != nil {
		return api.FlipResult{}, err
	}
	to, err := c.target(service, req)
	if err != nil {
		return api.FlipResult{}, err
	}
	if to == c.image.Services[service].Steer.Live {
		return api.FlipResult{Service: req.Service, Live: c.ref(to)}, nil
	}
	if !req.Force {
		if err := c.usable(service, to); err != nil {
			return api.FlipResult{}, err
		}
	}
	return c.flip(service, to, api.EndedByFlip)
}

// Rollback flips back to the generation that was live before.
func (c *Controller) Rollback(_ context.Context, req api.RollbackRequest) (api.FlipResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return api.FlipResult{}, err
	}
	service, err := c.service(req.Service)
	if err != nil {
		return api.FlipResult{}, err
	}
	for _, g := range c.image.GenerationsOf(service) {
		rec := c.image.Generations[g]
		if rec.Colour != kernel.NoColour && (rec.State == kernel.Draining || rec.State == kernel.Drained) {
			return c.flip(service, g, api.EndedByRollback)
		}
	}
	return api.FlipResult{}, api.Errorf(api.Refused, "service %s: nothing to roll back to: no generation in a pool was live before the present one", req.Service)
}

func (c *Controller) service(name string) (uint16, error) {
	index, ok := c.image.ServiceNamed(name)
	if !ok {
		return 0, api.Errorf(api.NotFound, "service %s: there is none of this name", name)
	}
	return index, nil
}

// target is the generation that a flip asks for: of the colour that it names, else of the idle one.
func (c *Controller) target(service uint16, req api.FlipRequest) (uint16, error) {
	live := c.image.Generations[c.image.Services[service].Steer.Live]
	colour := kernel.Blue
	if live.Colour == kernel.Blue {
		colour = kernel.Green
	}
	switch req.To {
	case image.ColourName(kernel.Blue):
		colour = kernel.Blue
	case image.ColourName(kernel.Green):
		colour = kernel.Green
	}
	g, ok := c.image.InColour(service, colour)
	if !ok {
		return 0, api.Errorf(api.Refused, "service %s: nothing is staged on %s; give it a pool and reload", req.Service, image.ColourName(colour))
	}
	return g, nil
}

// usable refuses a generation that could not take a session of each family that the service listens in.
func (c *Controller) usable(service, g uint16) error {
	families := c.image.Families(service)
	for _, f := range kernel.Families() {
		if families[f] && !c.reachable(g, f) {
			ref := c.ref(g)
			return api.Errorf(api.Refused, "service %s: generation %d (%s, version %s) has no usable %s backend: none has a weight and a resolved next hop; see ebbtide status, or give --force",
				c.image.Services[service].Name, ref.Number, ref.Colour, ref.Version, familyName(f))
		}
	}
	return nil
}

func (c *Controller) reachable(g uint16, f kernel.Family) bool {
	for _, id := range c.image.BackendsOf(g) {
		b := c.image.Backends[id]
		if b.Use != kernel.InPool || b.Weight == 0 || !b.Addrs[f].IsValid() {
			continue
		}
		if _, resolved := c.plane.Tables.Hop(f, id); resolved {
			return true
		}
	}
	return false
}

// flip stores the steer word and waits for the packets that had read the old one. The state file comes first; the store
// is the point of no return; what follows describes it. The lock is held.
func (c *Controller) flip(service, to uint16, by string) (api.FlipResult, error) {
	old := c.image.Services[service].Steer.Live
	want := c.flipped(service, to)
	if err := c.save(want); err != nil {
		return api.FlipResult{}, err
	}
	if old != 0 {
		c.note(want, old, image.UnknownCount)
	}
	c.step("flip: store")
	c.plane.Tables.SetSteer(service, want.Services[service].Steer)
	c.image = want
	c.endDrain(to, by)
	c.step("flip: barrier")
	took, err := c.plane.Barrier()
	if err != nil {
		return api.FlipResult{}, err
	}
	c.startDrains(service)
	if old != 0 {
		if err := c.markFlip(old); err != nil {
			return api.FlipResult{}, err
		}
	}
	c.note(c.image, to, 0)
	// What is left on the old generation is counted now, not read off a sweep from before the flip.
	if c.last, err = c.pass(); err != nil {
		return api.FlipResult{}, err
	}
	c.changed()
	c.sweepSoon()
	return c.proof(service, to, old, took)
}

// flipped is the image after the flip.
func (c *Controller) flipped(service, to uint16) *image.Image {
	im := c.image.Clone()
	s := im.Services[service]
	old := s.Steer.Live
	s.Steer = kernel.Steer{Live: to, Previous: old, Draining: true}
	im.Services[service] = s
	now := c.opt.Now()
	if old != 0 {
		rec := im.Generations[old]
		rec.State, rec.Since = kernel.Draining, now
		im.Generations[old] = rec
	}
	rec := im.Generations[to]
	rec.State, rec.Since = kernel.Live, now
	im.Generations[to] = rec
	return im
}

// note writes a generation's record to the kernel, with a mark of its counters at the flip.
func (c *Controller) note(im *image.Image, g uint16, at uint64) {
	rec := im.Generations[g]
	rec.NewAtFlip, rec.ReopenedAtFlip = at, at
	im.Generations[g] = rec
	c.step("flip: record")
	c.plane.Tables.PutGeneration(g, rec)
}

// markFlip remembers what the old generation had counted when the flip had returned: whatever comes on top is a broken
// promise.
func (c *Controller) markFlip(old uint16) error {
	n, err := c.plane.Tables.Counters(old)
	if err != nil {
		return err
	}
	rec := c.image.Generations[old]
	rec.NewAtFlip, rec.ReopenedAtFlip = n.New, n.Reopened
	c.image.Generations[old] = rec
	c.step("flip: mark")
	c.plane.Tables.PutGeneration(old, rec)
	return nil
}

// proof reads the steer word and the counters back.
func (c *Controller) proof(service, to, old uint16, barrier time.Duration) (api.FlipResult, error) {
	if live := c.plane.Tables.Steer(service).Live; live != to {
		return api.FlipResult{}, api.Errorf(api.Failed, "the kernel says that generation index %d is live after a flip to %d", live, to)
	}
	res := api.FlipResult{
		Service: c.image.Services[service].Name, Changed: true, Live: c.ref(to), BarrierMicros: barrier.Microseconds(),
	}
	if old == 0 {
		return res, nil
	}
	ref := c.ref(old)
	res.Old = &ref
	n, err := c.plane.Tables.Counters(old)
	if err != nil {
		return res, err
	}
	rec := c.image.Generations[old]
	res.NewOnOld, res.ReopenedOnOld = n.New-rec.NewAtFlip, n.Reopened-rec.ReopenedAtFlip
	res.SessionsOnOld = c.sessions(old).Total
	return res, nil
}

func (c *Controller) ref(g uint16) api.GenerationRef {
	rec := c.image.Generations[g]
	return api.GenerationRef{Number: rec.Number, Colour: image.ColourName(rec.Colour), Version: rec.Version}
}

// resume finishes what a killed daemon left between a flip's store and its records, or at a drain's end: the steer word is
// the truth, the records follow.
func (c *Controller) resume() error {
	for index, s := range c.image.Services {
		for _, g := range c.image.GenerationsOf(index) {
			rec := c.image.Generations[g]
			was := rec
			switch {
			case g == s.Steer.Live:
				rec.State = kernel.Live
			case rec.State == kernel.Live:
				rec.State, rec.NewAtFlip = kernel.Draining, image.UnknownCount
			}
			if rec.State != was.State {
				rec.Since = c.opt.Now()
			}
			if rec != was {
				c.image.Generations[g] = rec
				c.plane.Tables.PutGeneration(g, rec)
			}
		}
	}
	if err := c.markRetired(); err != nil {
		return err
	}
	for index := range c.image.Services {
		c.startDrains(index)
		c.drainsOver(index)
	}
	return nil
}

// markRetired waits for the packets under way and marks the generations that are no longer live and not marked yet. The
// barrier is there for drains too: what a reload, or a daemon that was killed, stored may still be in a packet's hands.
func (c *Controller) markRetired() error {
	if _, err := c.plane.Barrier(); err != nil {
		return err
	}
	for g, rec := range c.image.Generations {
		if rec.State == kernel.Draining && rec.NewAtFlip == image.UnknownCount {
			if err := c.markFlip(g); err != nil {
				return err
			}
		}
	}
	return nil
}

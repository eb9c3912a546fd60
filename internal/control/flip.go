package control

import (
	"context"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Flip makes a colour live: one store, then a barrier.
func (c *Controller) Flip(ctx context.Context, req api.FlipRequest) (api.FlipResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return api.FlipResult{}, err
	}
	service, err := c.service(req.Service)
	if err != nil {
		return api.FlipResult{}, err
	}
	to, err := c.target(service, req.To)
	if err != nil {
		return api.FlipResult{}, err
	}
	if to == c.image.Services[service].Steer.Live {
		return api.FlipResult{Service: req.Service, Live: c.ref(to)}, nil
	}
	if err := c.noClosing(req.Service); err != nil {
		return api.FlipResult{}, err
	}
	if err := c.mayGoAlone(req.Service, req.Alone, actFlip); err != nil {
		return api.FlipResult{}, err
	}
	if !req.Force {
		if err := c.mayFlip(service, to); err != nil {
			return api.FlipResult{}, err
		}
	}
	return c.journaledFlip(ctx, actFlip, req.Act, service, to)
}

// Rollback flips back to the generation that was live before.
func (c *Controller) Rollback(ctx context.Context, req api.RollbackRequest) (api.FlipResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return api.FlipResult{}, err
	}
	service, err := c.service(req.Service)
	if err != nil {
		return api.FlipResult{}, err
	}
	if res, its, err := c.rollbackRelease(ctx, service, req); its {
		return res, err
	}
	to, err := c.before(service)
	if err != nil {
		return api.FlipResult{}, err
	}
	if err := c.mayGoAlone(req.Service, req.Alone, actRollback); err != nil {
		return api.FlipResult{}, err
	}
	return c.journaledFlip(ctx, actRollback, req.Act, service, to)
}

// before is the generation that a rollback goes to, or why there is none.
func (c *Controller) before(service uint16) (uint16, error) {
	if g, ok := c.wayBack(service); ok {
		return g, nil
	}
	s := c.image.Services[service]
	if s.Steer.Share > 0 {
		return 0, api.Errorf(api.Refused, "service %s: nothing to roll back to: the candidate is not live yet; take its share of the clients back with ebbtide share %s 0%%", s.Name, s.Name)
	}
	return 0, api.Errorf(api.Refused, "service %s: nothing to roll back to: no generation in a pool was live before the present one", s.Name)
}

func (c *Controller) service(name string) (uint16, error) {
	index, ok := c.image.ServiceNamed(name)
	if !ok {
		return 0, noService(c.image, name)
	}
	return index, nil
}

// target is the generation that a flip asks for: of the colour that it names, else of the idle one.
func (c *Controller) target(service uint16, to string) (uint16, error) {
	name := c.image.Services[service].Name
	live := c.image.Generations[c.image.Services[service].Steer.Live]
	colour := kernel.Blue
	if live.Colour == kernel.Blue {
		colour = kernel.Green
	}
	switch to {
	case image.ColourName(kernel.Blue):
		colour = kernel.Blue
	case image.ColourName(kernel.Green):
		colour = kernel.Green
	}
	g, ok := c.image.InColour(service, colour)
	if !ok {
		return 0, api.Errorf(api.Refused, "service %s: nothing is staged on %s; give it a pool and reload", name, image.ColourName(colour))
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

// journaledFlip is a flip between its two events.
func (c *Controller) journaledFlip(ctx context.Context, what string, act api.Act, service, to uint16) (api.FlipResult, error) {
	res, err := c.journaledFlips(ctx, what, act, []move{{service: service, to: to}}, "")
	if err != nil {
		return api.FlipResult{}, err
	}
	return res.Members[0], nil
}

// move is what a flip does to one service.
type move struct {
	service, to uint16
	old         uint16 // live before it, 0: nothing was
	shared      bool   // by a release: what is left is what was counted after another's flip, if that was a moment ago
}

// flipAll stores the steer words and waits for the packets that had read old ones. The state file comes first; the first
// store is the point of no return; what follows describes it. It gives how far from each other the stores were, and how
// long the barrier took. The lock is held.
func (c *Controller) flipAll(moves []move, by string) (apart, barrier time.Duration, err error) {
	want := c.image
	for i, m := range moves {
		moves[i].old = c.image.Services[m.service].Steer.Live
		want = c.flipped(want, m.service, m.to)
	}
	if err := c.saveFlip(want, moves); err != nil {
		return 0, 0, err
	}
	for _, m := range moves {
		if m.old != 0 {
			want = c.note(want, m.old, image.UnknownCount)
		}
	}
	if apart, err = c.store("flip", moves, want); err != nil {
		return 0, 0, err
	}
	c.image = want
	for _, m := range moves {
		c.endDrain(m.to, by)
		c.holdDrains(m.service)
	}
	if barrier, err = c.barrier("flip: barrier"); err != nil {
		return 0, 0, err
	}
	for _, m := range moves {
		if err := c.describeFlip(m); err != nil {
			return 0, 0, err
		}
	}
	if err := c.countAfter(moves); err != nil {
		return 0, 0, err
	}
	c.changed()
	c.sweepSoon()
	return apart, barrier, nil
}

// aMoment is how long a count is good for flips of other services that are released at the same time: each would look at
// every flow.
const aMoment = time.Second

// countAfter counts what is left on the old generations now: it is not read off a sweep from before the flip.
func (c *Controller) countAfter(moves []move) error {
	now := c.opt.Now()
	if moves[0].shared && now.Sub(c.releases.counted) < aMoment {
		return nil
	}
	found, err := c.pass()
	if err != nil {
		return err
	}
	c.last = found
	if moves[0].shared {
		c.releases.counted = now
	}
	return nil
}

// store stores the steer words, with nothing else in between.
func (c *Controller) store(what string, moves []move, want *image.Image) (apart time.Duration, err error) {
	now, err := c.plane.Now()
	if err != nil {
		return 0, err
	}
	steers := make([]kernel.Steer, len(moves))
	for i, m := range moves {
		steers[i] = want.Services[m.service].Steer
		c.step(what + ": time")
		c.plane.Tables.SetFlipped(m.service, now)
	}
	var first time.Time
	for i, m := range moves {
		c.step(what + ": store")
		if i == 0 {
			first = time.Now()
		}
		c.plane.Tables.SetSteer(m.service, steers[i])
	}
	return time.Since(first), nil
}

// describeFlip brings the records after a flip's barrier.
func (c *Controller) describeFlip(m move) error {
	c.startDrains(m.service)
	if m.old != 0 {
		if err := c.markFlip(m.old); err != nil {
			return err
		}
	}
	c.image = c.note(c.image, m.to, 0)
	c.looks.at(m.service) // a lost backend's sessions may have somebody to move to now
	return nil
}

// flipped is the image after the flip of one service.
func (c *Controller) flipped(im *image.Image, service, to uint16) *image.Image {
	s := im.Services[service]
	old := s.Steer.Live
	s.Steer = kernel.Steer{Live: to, Previous: old, Draining: true, Busy: s.Steer.Busy}
	im = im.WithService(service, s)
	now := c.opt.Now()
	if old != 0 {
		rec := im.Generations[old]
		rec.State, rec.Since = kernel.Draining, now
		im = im.WithGeneration(old, rec)
	}
	rec := im.Generations[to]
	rec.State, rec.Since = kernel.Live, now
	return im.WithGeneration(to, rec)
}

// note writes a generation's record to the kernel, with a mark of its counters at the flip, and gives the image with it.
func (c *Controller) note(im *image.Image, g uint16, at uint64) *image.Image {
	rec := im.Generations[g]
	rec.NewAtFlip, rec.ReopenedAtFlip = at, at
	c.step("flip: record")
	c.plane.Tables.PutGeneration(g, rec)
	return im.WithGeneration(g, rec)
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
	c.step("flip: mark")
	c.plane.Tables.PutGeneration(old, rec)
	c.image = c.image.WithGeneration(old, rec)
	return nil
}

// proof reads the steer word and the counters back.
func (c *Controller) proof(m move, barrier time.Duration) (api.FlipResult, error) {
	service, to, old := m.service, m.to, m.old
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
	return refOf(c.image.Generations[g])
}

func refOf(g kernel.Generation) api.GenerationRef {
	return api.GenerationRef{Number: g.Number, Colour: image.ColourName(g.Colour), Version: g.Version}
}

// resume finishes what a killed daemon left between a flip's store and its records, or at a drain's end: the steer word is
// the truth, the records follow.
func (c *Controller) resume() error {
	if err := c.resumeGroupFlip(); err != nil {
		return err
	}
	for index, s := range c.image.Services {
		c.endCandidacy(index)
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
				c.image = c.image.WithGeneration(g, rec)
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
	for _, d := range c.drains {
		d.adopted = true
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

package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// drain is the proof, under way, that a generation has no session left:
//
//	a complete sweep, begun after the flip's barrier, counts none;
//	the generation is sealed (orphans no longer go to it), then a barrier;
//	a second complete sweep, begun after that, counts none.
//
// If the second finds any, an orphan was pinned behind the first one's back: it is unsealed and drains on.
type drain struct {
	service uint16
	after   uint64 // only a sweep of a higher number counts
	sealed  bool   // by this proof
	reason  string // why a count of none proves nothing
	history []count
	endedBy string
}

// count is what a sweep found left.
type count struct {
	at   time.Time
	left uint64
}

// rateWindow is the time over which the rate of leaving is taken.
const rateWindow = 30 * time.Second

// startDrains begins the proof anew for whatever drains of a service: the barrier is just behind. The lock is held.
func (c *Controller) startDrains(service uint16) {
	for _, g := range c.image.GenerationsOf(service) {
		if c.image.Generations[g].State != kernel.Draining {
			continue
		}
		d := c.drains[g]
		if d == nil || d.endedBy != "" {
			d = &drain{service: service}
			c.drains[g] = d
		}
		d.after, d.sealed = c.begun, false
	}
}

// watchDrains begins the proof for generations that a reload retired.
func (c *Controller) watchDrains() {
	for g, rec := range c.image.Generations {
		if rec.State == kernel.Draining && c.drains[g] == nil {
			c.drains[g] = &drain{service: rec.Service, after: c.begun}
		}
	}
}

func (c *Controller) endDrain(g uint16, by string) {
	if d := c.drains[g]; d != nil {
		d.endedBy = by
	}
}

// sweepLoop sweeps until the context ends.
func (c *Controller) sweepLoop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-c.kick:
		}
		if err := c.sweep(); err != nil { // the next one may do; a daemon that ended would drain nothing
			c.log.Error("sweep", "err", err)
		}
		timer.Reset(c.pause())
	}
}

func (c *Controller) pause() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g := range c.drains {
		if c.image.Generations[g].State == kernel.Draining {
			return sweepDrain
		}
	}
	return sweepIdle
}

// sweep runs one complete pass and draws the conclusions. The lock is not held while it runs: a flip need not wait.
func (c *Controller) sweep() error {
	c.mu.Lock()
	c.begun++
	number, im := c.begun, c.image
	c.mu.Unlock()

	result, err := c.pass()
	if err != nil {
		return err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil
	}
	c.last = result
	for g, d := range c.drains {
		if err := c.judge(g, d, number); err != nil {
			return err
		}
	}
	if c.cfg != nil && im == c.image && result.Missed == 0 && c.plane.Importing() == "" {
		if err := c.collect(); err != nil {
			return err
		}
	}
	c.changed()
	return nil
}

// pass runs one complete pass of the sweeper; passes do not overlap, since they count in the same maps.
func (c *Controller) pass() (sweepResult, error) {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	begin := c.opt.Now()
	found, err := c.plane.Sweep()
	if err != nil {
		return sweepResult{}, fmt.Errorf("sweep: %w", err)
	}
	end := c.opt.Now()
	return sweepResult{found, end, end.Sub(begin)}, nil
}

// collect takes out of the kernel what no session uses any more.
func (c *Controller) collect() error {
	want, changed := c.image.Collect(c.last.Sweep)
	if !changed {
		return nil
	}
	if err := c.write(want); err != nil {
		return err
	}
	for g := range c.drains {
		if _, there := c.image.Generations[g]; !there {
			delete(c.drains, g)
		}
	}
	if c.cfg != nil { // a VIP that nobody uses any more goes with its last listener
		if err := c.vips(c.cfg); err != nil {
			return err
		}
	}
	c.hops.want(c.image, c.cfg.Interfaces)
	return nil
}

// judge moves one proof on by the newest sweep. The lock is held.
func (c *Controller) judge(g uint16, d *drain, number uint64) error {
	if c.image.Generations[g].State != kernel.Draining {
		return nil
	}
	left := c.sessions(g).Total
	d.history = append(d.history, count{c.last.at, left})
	for len(d.history) > 2 && c.last.at.Sub(d.history[0].at) > rateWindow {
		d.history = d.history[1:]
	}
	if number <= d.after {
		return nil // begun before the barrier
	}
	var err error
	if d.reason, err = c.doubt(g); err != nil {
		return err
	}
	switch {
	case left > 0:
		return c.unseal(g, d)
	case c.last.Missed > 0 || d.reason != "":
		return nil
	case c.image.Services[d.service].Steer.Previous == g:
		return c.seal(g, d)
	}
	return c.drained(g, d)
}

// doubt is why a count of none would prove nothing: flows that found no slot are in no count, nor are those that an
// upgrade cut short has not imported.
func (c *Controller) doubt(g uint16) (string, error) {
	if rest := c.plane.Importing(); rest != "" {
		return fmt.Sprintf("still to be imported: %s; reload goes on with it", rest), nil
	}
	n, err := c.plane.Tables.Counters(g)
	if err != nil {
		return "", err
	}
	if n.Unpinned == 0 {
		return "", nil
	}
	since := silence(c.last.Tick, n.LastUnpinned)
	var longest uint32
	for _, id := range c.image.BackendsOf(g) {
		for _, t := range c.image.Backends[id].Timeouts {
			longest = max(longest, t)
		}
	}
	if since > longest {
		return "", nil
	}
	wait := time.Duration(longest-since) * c.plane.Ticks.Length()
	return fmt.Sprintf("the flow table was full: %d packets of flows without a pin went to this generation, and such flows may go on for another %s", n.Unpinned, wait.Round(time.Second)), nil
}

// seal stops orphans from going to the generation, and asks for a sweep after the barrier.
func (c *Controller) seal(g uint16, d *drain) error {
	s := c.image.Services[d.service]
	s.Steer.Previous = 0
	c.setSteer(d.service, s.Steer, "drain: seal")
	c.step("drain: barrier")
	if _, err := c.plane.Barrier(); err != nil {
		return err
	}
	d.after, d.sealed = c.begun, true
	c.sweepSoon()
	return nil
}

// unseal gives orphans back to a generation that had one after all.
func (c *Controller) unseal(g uint16, d *drain) error {
	s := c.image.Services[d.service]
	wasPrevious := c.state.Services[s.Name].Previous == c.image.Generations[g].Number
	if s.Steer.Previous == 0 && (d.sealed || wasPrevious) {
		s.Steer.Previous = g
		c.setSteer(d.service, s.Steer, "drain: unseal")
	}
	d.sealed = false
	return nil
}

func (c *Controller) drained(g uint16, d *drain) error {
	rec := c.image.Generations[g]
	rec.State, rec.Since = kernel.Drained, c.opt.Now()
	im := c.image.Clone()
	im.Generations[g] = rec
	c.image = im
	c.step("drain: drained")
	c.plane.Tables.PutGeneration(g, rec)
	c.log.Info("drained", "service", c.image.Services[d.service].Name, "generation", rec.Number)
	c.drainsOver(d.service)
	return nil
}

// drainsOver takes back what the data plane was told of a service that drains, when nothing of it does any more.
func (c *Controller) drainsOver(service uint16) {
	for _, g := range c.image.GenerationsOf(service) {
		if c.image.Generations[g].State == kernel.Draining {
			return
		}
	}
	if s := c.image.Services[service]; s.Steer.Draining {
		s.Steer.Draining = false
		c.setSteer(service, s.Steer, "drain: over")
	}
}

// setSteer stores a steer word and keeps the image in step.
func (c *Controller) setSteer(service uint16, steer kernel.Steer, what string) {
	im := c.image.Clone()
	s := im.Services[service]
	s.Steer = steer
	im.Services[service] = s
	c.step(what)
	c.plane.Tables.SetSteer(service, steer)
	c.image = im
}

// rate is the number of sessions that left a second, over the window; 0 when none did.
func (d *drain) rate() float64 {
	if len(d.history) < 2 {
		return 0
	}
	first, last := d.history[0], d.history[len(d.history)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 || first.left <= last.left {
		return 0
	}
	return float64(first.left-last.left) / seconds
}

// WatchDrain follows what drains of a service until it is drained or ended.
func (c *Controller) WatchDrain(ctx context.Context, req api.DrainRequest, yield func(api.DrainProgress) error) error {
	c.mu.Lock()
	service, err := c.service(req.Service)
	if err != nil {
		c.mu.Unlock()
		return err
	}
	watching, err := c.watched(service, req.Generation)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if len(watching) == 0 {
		return yield(api.DrainProgress{Service: req.Service, State: api.StateDrained, Done: true})
	}
	c.sweepSoon()
	for {
		c.mu.Lock()
		progress, over, err := c.progress(watching)
		change := c.change
		c.mu.Unlock()
		if err != nil {
			return err
		}
		for i, p := range progress {
			p.Done = over && i == len(progress)-1
			if err := yield(p); err != nil {
				return err
			}
		}
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		}
	}
}

// watched is a generation that somebody waits for, and its drain when the wait began: once that is ended, it stays so for
// him, though the generation may drain anew before he hears of it.
type watched struct {
	service string
	ref     api.GenerationRef
	drain   *drain
}

// watch remembers a generation and its drain, one that was over before this daemon started included.
func (c *Controller) watch(g uint16) watched {
	rec := c.image.Generations[g]
	if c.drains[g] == nil {
		c.drains[g] = &drain{service: rec.Service, after: c.begun}
	}
	return watched{c.image.Services[rec.Service].Name, c.ref(g), c.drains[g]}
}

// watched chooses the generations to follow: the one named, else all that drain, else the one that drained last, else
// none. One named that is live again is told what ended its drain.
func (c *Controller) watched(service uint16, number uint32) (map[uint16]watched, error) {
	out := map[uint16]watched{}
	last := uint16(0)
	for _, g := range c.image.GenerationsOf(service) {
		rec := c.image.Generations[g]
		drains := rec.State == kernel.Draining || rec.State == kernel.Drained
		d := c.drains[g]
		ended := d != nil && d.endedBy != ""
		switch {
		case number != 0 && rec.Number == number && (drains || ended):
			return map[uint16]watched{g: c.watch(g)}, nil
		case number != 0 && rec.Number == number:
			return nil, api.Errorf(api.Refused, "service %s: generation %d is %s: it does not drain", c.image.Services[service].Name, number, stateName(rec.State))
		case rec.State == kernel.Draining:
			out[g] = c.watch(g)
		case rec.State == kernel.Drained:
			last = g
		}
	}
	switch {
	case number != 0:
		return nil, api.Errorf(api.NotFound, "service %s: there is no generation %d, or it is gone", c.image.Services[service].Name, number)
	case len(out) == 0 && last != 0:
		out[last] = c.watch(last)
	}
	return out, nil
}

// progress of each watched generation, and whether all of them are over.
func (c *Controller) progress(watching map[uint16]watched) ([]api.DrainProgress, bool, error) {
	over := true
	var out []api.DrainProgress
	for _, g := range slices.Sorted(maps.Keys(watching)) {
		p, err := c.progressOf(g, watching[g])
		if err != nil {
			return nil, false, err
		}
		over = over && (p.State == api.StateDrained || p.State == api.StateEnded)
		out = append(out, p)
	}
	return out, over, nil
}

func (c *Controller) progressOf(g uint16, w watched) (api.DrainProgress, error) {
	p := api.DrainProgress{Service: w.service, Generation: w.ref, State: api.StateDrained}
	rec, there := c.image.Generations[g]
	if !there || rec.Number != w.ref.Number { // drained, and collected since
		return p, nil
	}
	n, err := c.plane.Tables.Counters(g)
	if err != nil {
		return p, err
	}
	p.Generation, p.Left = c.ref(g), c.sessions(g)
	p.NewSinceFlip, p.Reopened = sinceFlip(rec, n)
	switch {
	case w.drain.endedBy != "":
		p.State, p.EndedBy = api.StateEnded, w.drain.endedBy
	case rec.State == kernel.Draining && w.drain.reason != "":
		p.State, p.Reason = api.StateInconclusive, w.drain.reason
	default:
		p.State = stateName(rec.State)
	}
	p.RatePerSecond = w.drain.rate()
	if p.RatePerSecond > 0 {
		at := c.last.at.Add(time.Duration(float64(p.Left.Total) / p.RatePerSecond * float64(time.Second)))
		p.EmptyAt = &at
	}
	return p, nil
}

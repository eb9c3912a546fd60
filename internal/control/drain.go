package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
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
	service  uint16
	after    uint64 // only a sweep of a higher number counts
	sealed   bool   // by this proof
	adopted  bool   // the daemon before this one may have noted its end
	reason   string // why a count of none proves nothing
	history  []count
	prospect prospect
	endedBy  string
}

// count is what a sweep found left.
type count struct {
	at   time.Time
	left uint64
}

// rateWindow is the time over which the rate of leaving is taken.
const rateWindow = 30 * time.Second

// untilBarrier is the number after which no sweep counts: the barrier has yet to come.
const untilBarrier = math.MaxUint64

// holdDrains begins the proof for whatever drains of a service, and lets no sweep count until startDrains: the store is made,
// and the barrier comes. The lock is held.
func (c *Controller) holdDrains(service uint16) { c.proveAfter(service, untilBarrier) }

// startDrains begins the proof anew for whatever drains of a service: the barrier is just behind. The lock is held.
func (c *Controller) startDrains(service uint16) { c.proveAfter(service, c.begun) }

func (c *Controller) proveAfter(service uint16, number uint64) {
	for _, g := range c.image.GenerationsOf(service) {
		if c.image.Generations[g].State != kernel.Draining {
			continue
		}
		if !c.watches(g) {
			c.drains[g] = &drain{service: service}
		}
		d := c.drains[g]
		d.after, d.sealed = number, false
	}
}

// watches says whether a generation has a drain that goes on.
func (c *Controller) watches(g uint16) bool {
	d := c.drains[g]
	return d != nil && d.endedBy == ""
}

// watchDrains begins the proof for generations that a reload retired.
func (c *Controller) watchDrains() {
	for g, rec := range c.image.Generations {
		if rec.State == kernel.Draining && !c.watches(g) {
			c.drains[g] = &drain{service: rec.Service, after: c.begun}
		}
	}
}

// payBarriers does what comes behind a store for those who drain without it: a flip, a seal or a reload failed in between.
func (c *Controller) payBarriers() error {
	due := map[uint16]bool{} // services
	for g, rec := range c.image.Generations {
		if rec.State == kernel.Draining && (!c.watches(g) || c.drains[g].after == untilBarrier || rec.NewAtFlip == image.UnknownCount) {
			due[rec.Service] = true
		}
	}
	if len(due) == 0 {
		return nil
	}
	if err := c.markRetired(); err != nil {
		return err
	}
	for service := range due {
		c.startDrains(service)
		if live := c.image.Services[service].Steer.Live; live != 0 {
			c.image = c.note(c.image, live, 0)
		}
		c.looks.at(service)
	}
	return nil
}

func (c *Controller) endDrain(g uint16, by string) {
	if d := c.drains[g]; d != nil {
		d.endedBy = by
	}
}

// sweepLoop sweeps until the context ends.
func (c *Controller) sweepLoop(ctx context.Context) error {
	timer := time.NewTimer(c.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-c.kick:
		}
		c.trySweep()
		timer.Reset(c.pause())
	}
}

// trySweep is a sweep whose failure is only told: the next one may do, and a daemon that ended would drain nothing.
func (c *Controller) trySweep() {
	if err := c.sweep(); err != nil {
		c.log.Error("sweep", "err", err)
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
	if c.emptying() {
		return sweepDrain
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
	if result.at.After(c.last.at) { // an eviction's pass may have been later
		c.last = result
	}
	c.complete = max(c.complete, number)
	c.payJournal()
	c.markGates()
	err = errors.Join(c.payBarriers(), c.payRests())
	for g, d := range c.drains {
		err = errors.Join(err, c.judge(g, d, number)) // one that can't be noted keeps no other from its end
	}
	if err != nil {
		c.changed()
		return err
	}
	if c.cfg != nil && im == c.image && c.last.Missed == 0 && c.plane.Importing() == "" {
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
	return c.passNow()
}

// passNow is pass, for whoever holds the sweeper.
func (c *Controller) passNow() (sweepResult, error) {
	if err := c.fails("sweep"); err != nil {
		return sweepResult{}, err
	}
	begin := c.opt.Now()
	found, err := c.plane.Sweep()
	if err != nil {
		return sweepResult{}, fmt.Errorf("sweep: %w", err)
	}
	end := c.opt.Now()
	return sweepResult{found, end, end.Sub(begin)}, nil
}

// collect takes out of the kernel what no session uses any more. Without a file nobody knows what is to stay.
func (c *Controller) collect() error {
	want, changed := c.image.Collect(c.last.Sweep)
	if !changed {
		return nil
	}
	if err := c.write(want); err != nil {
		return err
	}
	if err := c.forgetShadow(); err != nil {
		return err
	}
	for g := range c.drains {
		if _, there := c.image.Generations[g]; !there {
			delete(c.drains, g)
		}
	}
	if err := c.vips(c.cfg); err != nil { // a VIP that nobody uses any more goes with its last listener
		return err
	}
	c.hops.want(c.image, c.cfg.Interfaces)
	c.wantHealth()
	return nil
}

// judge moves one proof on by the newest sweep. The lock is held.
func (c *Controller) judge(g uint16, d *drain, number uint64) error {
	if c.image.Generations[g].State != kernel.Draining {
		return nil
	}
	found := c.sessions(g)
	left := max(found.Total, found.Flows) // a flow may outlive its client's session
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
		return c.seal(d)
	}
	if err = c.drained(g, d); err != nil {
		d.reason = err.Error()
	}
	return err
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
	for _, t := range c.image.Services[c.image.Generations[g].Service].Timeouts {
		longest = max(longest, t)
	}
	if since > longest {
		return "", nil
	}
	wait := time.Duration(longest-since) * c.plane.Ticks.Length()
	return fmt.Sprintf("the flow table was full: %d packets of flows without a pin went to this generation, and such flows may go on for another %s", n.Unpinned, wait.Round(time.Second)), nil
}

// seal stops orphans from going to the generation, and asks for a sweep after the barrier.
func (c *Controller) seal(d *drain) error {
	s := c.image.Services[d.service]
	s.Steer.Previous = 0
	c.setSteer(d.service, s.Steer, "drain: seal")
	d.after, d.sealed = untilBarrier, true
	if _, err := c.barrier("drain: barrier"); err != nil {
		return err
	}
	d.after = c.begun
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
	if err := c.noteDrained(g, d.adopted); err != nil {
		return err
	}
	c.image = c.image.WithGeneration(g, rec)
	c.step("drain: drained")
	c.plane.Tables.PutGeneration(g, rec)
	c.log.Info("drained", "service", c.image.Services[d.service].Name, "generation", rec.Number)
	c.drainsOver(d.service)
	return nil
}

// noteDrained puts the evidence into the journal first: once, though a daemon may have been killed right after.
func (c *Controller) noteDrained(g uint16, adopted bool) error {
	rec := c.image.Generations[g]
	if adopted { // to look for it means to read the journal
		if noted, err := c.notedDrained(c.image.Services[rec.Service].Name, rec.Number); noted || err != nil {
			return err
		}
	}
	n, err := c.plane.Tables.Counters(g)
	if err != nil {
		return err
	}
	found := drainedIs{Generation: c.ref(g), Sweep: c.begun, SessionsMoved: n.Moved}
	found.NewSinceFlip, found.Reopened = sinceFlip(rec, n)
	c.step("drain: journal")
	_, err = c.journal(journal.Event{
		Actor: journal.Actor{Daemon: true}, Act: actDrained, Stage: journal.Note, Service: c.image.Services[rec.Service].Name,
	}, nil, found)
	return err
}

// notedDrained says whether the journal has the end of a generation's drain, since a flip last began one.
func (c *Controller) notedDrained(service string, number uint32) (noted bool, err error) {
	_, err = c.opt.Journal.Read(0, func(e journal.Event) error {
		if e.Service != service {
			return nil
		}
		switch e.Act {
		case actFlip, actRollback:
			noted = false
		case actDrained:
			var was drainedIs
			if err := json.Unmarshal(e.After, &was); err != nil {
				return fmt.Errorf("event %d of the journal: %w", e.Seq, err)
			}
			noted = noted || was.Generation.Number == number
		}
		return nil
	})
	return noted, err
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
	s := c.image.Services[service]
	s.Steer = steer
	c.step(what)
	c.plane.Tables.SetSteer(service, steer)
	c.image = c.image.WithService(service, s)
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
	watching, idle, err := c.watchedOf(req)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	for i, name := range idle {
		done := len(watching) == 0 && i == len(idle)-1
		if err := yield(api.DrainProgress{Service: name, State: api.StateDrained, Done: done}); err != nil || done {
			return err
		}
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

// watchedOf chooses what to follow for a request, and names the services of which nothing drains.
func (c *Controller) watchedOf(req api.DrainRequest) (map[uint16]watched, []string, error) {
	services, err := c.asked(req)
	if err != nil {
		return nil, nil, err
	}
	all := map[uint16]watched{}
	var idle []string
	for _, service := range services {
		some, err := c.watched(service, req.Generation)
		if err != nil {
			return nil, nil, err
		}
		if len(some) == 0 {
			idle = append(idle, c.image.Services[service].Name)
		}
		maps.Copy(all, some)
	}
	return all, idle, nil
}

// asked are the services that a wait is for.
func (c *Controller) asked(req api.DrainRequest) ([]uint16, error) {
	if req.Group != "" {
		return c.members(req.Group)
	}
	service, err := c.service(req.Service)
	return []uint16{service}, err
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
	c.foreseen(&p, w.drain)
	return p, nil
}

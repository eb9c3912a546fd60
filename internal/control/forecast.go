package control

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/forecast"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// prospect is what a drain is expected to come to, and how it goes on.
type prospect struct {
	forecast *api.DrainForecast // nil: nothing is known of how long sessions last
	rest     *api.DrainRest
	stalled  forecast.Stalled
	since    time.Time // of stalled's window

	model    *forecast.Model // of the first look: one made of those that stay would expect them to
	pace     forecast.Pace
	first    time.Time // look
	last     time.Time // look
	left     uint64    // then
	begun    uint64    // sessions then
	rejoined uint64    // at the first look
}

// Forecasts come about as often as sweeps, and where a walk takes long, so seldom that they take one part in so many of a CPU.
const (
	forecastEvery = time.Second
	forecastShare = 50
)

// confidence is the chance that a generation is empty between the times of its forecast.
const confidence = 0.8

// paceEnds is how many sessions have to have ended before it can be said that others don't.
const paceEnds = 20

// forecastLoop looks at what drains, until the context ends.
func (c *Controller) forecastLoop(ctx context.Context) error {
	for {
		c.mu.Lock()
		change := c.change
		c.mu.Unlock()
		begin := time.Now()
		if err := c.foresee(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("forecast the drains", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(forecastEvery, forecastShare*time.Since(begin))):
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		}
	}
}

// foresee looks at what is left of all that drains, in one walk, without the lock.
func (c *Controller) foresee(ctx context.Context) error {
	c.mu.Lock()
	im, tables := c.image, c.plane.Tables
	all := map[uint16]*remains{}
	drains := map[uint16]*drain{}
	for g, d := range c.drains {
		if c.gone || d.endedBy != "" || im.Generations[g].State != kernel.Draining {
			continue
		}
		n := c.sessions(g)
		all[g], drains[g] = newRemains(im, g, n.Total+n.Flows, c.plane.Ticks.Length()), d
	}
	c.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	if err := walkRemains(ctx, im, all, tables, c.pieces(tables)); err != nil {
		var refused *api.Error
		if errors.As(err, &refused) { // an upgrade replaced the tables: the next look finds the new ones
			return nil
		}
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.plane.Tables != tables || c.gone {
		return nil
	}
	var errs []error
	for g, r := range all {
		if c.drains[g] == drains[g] && c.image.Generations[g].State == kernel.Draining {
			errs = append(errs, c.lookAt(g, drains[g], r))
		}
	}
	c.changed()
	return errors.Join(errs...)
}

// lookAt takes what was found of a generation. The lock is held.
func (c *Controller) lookAt(g uint16, d *drain, r *remains) error {
	own, err := c.plane.Tables.Lifetimes(g)
	if err != nil {
		return err
	}
	past, err := c.plane.Tables.PastLifetimes(d.service)
	if err != nil {
		return err
	}
	n, err := c.plane.Tables.Counters(g)
	if err != nil {
		return err
	}
	o, now := &d.prospect, c.opt.Now()
	if o.rest == nil {
		o.first, o.rejoined = now, n.Rejoined
	}
	o.rest = r.sum()
	o.rest.Rejoined = n.Rejoined - o.rejoined
	_, o.rest.Reopened = sinceFlip(c.image.Generations[g], n)
	living := r.living()
	model, err := forecast.Fit(forecast.Sample{Ended: bins(c.plane.Ticks.Length(), own, past), Living: living})
	if errors.Is(err, forecast.ErrNoEnds) {
		o.forecast = nil
		return nil
	}
	if err != nil {
		return err
	}
	o.forecast = foretell(model, living, r, now)
	o.follow(model, living, now, c.sessions(g).Total, n.New+n.Orphans)
	return nil
}

// bins of lengths in seconds, of a generation and of those before it. A session of so many ticks between its first and its
// last packet lasted up to one longer.
func bins(tick time.Duration, all ...kernel.Lifetimes) (out []forecast.Bin) {
	for i := range kernel.LifetimeBuckets {
		low, high := kernel.LifetimeBounds(i)
		b := forecast.Bin{Low: float64(low) * tick.Seconds(), High: float64(high) * tick.Seconds()}
		for _, l := range all {
			b.N += float64(l[i])
		}
		out = append(out, b)
	}
	return out
}

// foretell says when the last entry is gone: the last session's end, and what its entry is kept for after that; or the last
// of those that have ended already.
func foretell(m *forecast.Model, living []forecast.Group, r *remains, now time.Time) *api.DrainForecast {
	last := m.Last(living)
	at := func(chance float64) time.Time {
		wait := r.ending
		if len(living) > 0 {
			after := min(last.Quantile(chance), float64(math.MaxInt64/2)/float64(time.Second))
			wait = max(wait, time.Duration(after*float64(time.Second))+r.tail)
		}
		return now.Add(wait).Truncate(time.Second)
	}
	f := &api.DrainForecast{
		Median: at(0.5), Low: at((1 - confidence) / 2), High: at((1 + confidence) / 2), Confidence: confidence,
		Ended: uint64(m.Ends()), Living: uint64(m.Censored()), OlderThan99: uint64(m.Older(living, 0.99)),
	}
	if len(living) > 0 {
		oldest := living[len(living)-1].Age
		f.Extrapolated = oldest+last.Quantile((1+confidence)/2) > m.Longest()
	}
	return f
}

// follow compares the ends since the look before with those that the ages predicted.
func (o *prospect) follow(m *forecast.Model, living []forecast.Group, now time.Time, left, begun uint64) {
	if o.model == nil {
		if m.Ends() >= paceEnds {
			o.model, o.last, o.left, o.begun = m, now, left, begun
			o.pace.See(m, nil, now.Sub(o.first).Seconds(), 0, 0)
		}
		return
	}
	ended := float64(o.left) + float64(begun-o.begun) - float64(left)
	o.pace.See(o.model, living, now.Sub(o.first).Seconds(), max(0, now.Sub(o.last).Seconds()), max(0, ended))
	o.last, o.left, o.begun = now, left, begun
	o.stalled = o.pace.Worst()
	o.since = o.first.Add(time.Duration(o.stalled.Since * float64(time.Second)))
}

// foreseen adds the prospect, and the verdict with its evidence. The lock is held.
func (c *Controller) foreseen(p *api.DrainProgress, d *drain) {
	o := &d.prospect
	switch p.State {
	case api.StateEnded:
		return
	case api.StateDrained:
		p.Verdict, p.Evidence = api.VerdictDrained, "complete sweeps before and after the seal found no session"
		return
	}
	p.Forecast, p.Rest = o.forecast, o.rest
	deadline := c.deadlineOf(d.service, p.Generation.Number)
	switch {
	case p.State == api.StateInconclusive:
		p.Verdict, p.Evidence = api.VerdictInconclusive, p.Reason
	case !deadline.IsZero() && !c.opt.Now().Before(deadline):
		p.Verdict = api.VerdictDeadline
		p.Evidence = fmt.Sprintf("%d left at the deadline of %s: %s", p.Left.Total, deadline.UTC().Format(time.RFC3339), ofRest(o.rest))
	case o.stalled.Stalled() && p.Left.Total > 0:
		p.Verdict = api.VerdictStuck
		p.Evidence = fmt.Sprintf("since %s %.0f sessions ended where their ages predict %.1f, which chance does once in %.0f drains; %d left: %s",
			o.since.UTC().Format(time.RFC3339), o.stalled.Ended, o.stalled.Expected, min(1/o.stalled.Chance, 1e6), p.Left.Total, ofRest(o.rest))
	case o.forecast == nil:
		p.Verdict, p.Evidence = api.VerdictDraining, "no session of this service has ended yet since lengths are noted: nothing is forecast"
	default:
		p.Verdict, p.Evidence = api.VerdictDraining, fmt.Sprintf("forecast from %d sessions that ended and %d that live", o.forecast.Ended, o.forecast.Living)
	}
}

// ofRest says what is left, and why it may stay.
func ofRest(r *api.DrainRest) string {
	if r == nil {
		return "not looked at yet"
	}
	seconds := func(n uint32) time.Duration { return time.Duration(n) * time.Second }
	parts := []string{fmt.Sprintf("the oldest of %s, the longest silence %s", seconds(r.OldestSeconds), seconds(r.IdleSeconds))}
	for _, why := range []struct {
		n    uint64
		what string
	}{{r.OneWay, "one-way"}, {r.Lingering, "lingering"}, {r.Rejoined, "rejoined"}, {r.Reopened, "reopened"}} {
		if why.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", why.n, why.what))
		}
	}
	if len(r.Clients) > 0 {
		parts = append(parts, fmt.Sprintf("%s has %d", r.Clients[0].Client, r.Clients[0].Sessions))
	}
	return strings.Join(parts, ", ")
}

// deadlineOf a generation's drain: its release has it, and no later flip moves it.
func (c *Controller) deadlineOf(service uint16, number uint32) (deadline time.Time) {
	for _, r := range c.state.Services[c.image.Services[service].Name].Releases {
		if r.From.Number == number && !r.Deadline.IsZero() {
			deadline = r.Deadline
		}
	}
	return deadline
}

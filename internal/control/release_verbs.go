package control

import (
	"context"
	"errors"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/release"
)

// Release begins a release of a service, or says a word to one.
func (c *Controller) Release(ctx context.Context, req api.ReleaseRequest) (api.Release, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sayToRelease(ctx, req, 0)
}

// sayToRelease is that, with the lock held. A release to another generation than the given one is refused; 0 is any.
func (c *Controller) sayToRelease(ctx context.Context, req api.ReleaseRequest, to uint32) (api.Release, error) {
	if err := c.there(); err != nil {
		return api.Release{}, err
	}
	service, err := c.service(req.Service)
	if err != nil {
		return api.Release{}, err
	}
	r, err := c.recordFor(ctx, service, req)
	if err != nil {
		return api.Release{}, err
	}
	if to != 0 && r.To.Number != to {
		return api.Release{}, api.Errorf(api.Refused, "service %s: it would be a release of generation %d, and one of generation %d was meant", req.Service, r.To.Number, to)
	}
	services, err := c.saidTo(ctx, r, req.Do)
	if err != nil {
		return api.Release{}, err
	}
	if err := c.maySay(ctx, req.Act, req.Do, services...); err != nil {
		return api.Release{}, err
	}
	next, t, err := release.Step(r, release.Input{
		Event: release.Event(req.Do), By: actorOf(ctx).String(), Gate: req.Gate, Why: req.Reason,
	}, c.facts(r), c.releaseNow())
	if err != nil {
		return api.Release{}, refusedRelease(req.Service, err)
	}
	if _, err := c.keep(ctx, r, next, t); err != nil {
		return api.Release{}, api.Errorf(api.Failed, "%s; nothing was changed", err)
	}
	c.advanceTogether(next)
	return c.shownRelease(next.Service, next.Number), nil
}

// maySay refuses a word while a service is held: a freeze keeps nobody from stopping a release or taking it back.
func (c *Controller) maySay(ctx context.Context, act api.Act, word string, services ...string) error {
	switch word {
	case api.ReleasePause, api.ReleaseAbort, api.ReleaseRollback:
		return c.unlockedByHand(ctx, act, services...)
	}
	return c.unlocked(ctx, act, services...)
}

func refusedRelease(name string, err error) error {
	if refusal := (*release.Refusal)(nil); errors.As(err, &refusal) {
		return api.Errorf(api.Refused, "service %s: %s", name, refusal.Why)
	}
	return err
}

// recordFor is the record that a word is for: of a start, a new one that nobody has seen yet.
func (c *Controller) recordFor(ctx context.Context, service uint16, req api.ReleaseRequest) (release.Record, error) {
	if req.Do == api.ReleaseStart {
		return c.newRelease(ctx, service, req)
	}
	return c.chosenRelease(req.Service, req.Number, true)
}

// chosenRelease is the release of a number, or with 0 the newest one; a word is for one that is not over, when there is any.
func (c *Controller) chosenRelease(name string, number uint32, word bool) (release.Record, error) {
	list := c.state.Services[name].Releases
	if number != 0 {
		r, ok := c.releaseOf(name, number)
		if !ok {
			return r, api.Errorf(api.NotFound, "service %s: there is no release %d, or it is long over", name, number)
		}
		return r, nil
	}
	if len(list) == 0 {
		return release.Record{}, api.Errorf(api.NotFound, "service %s: it has no release", name)
	}
	for i := len(list) - 1; word && i >= 0; i-- {
		if !list[i].State.Over() {
			return list[i], nil
		}
	}
	return list[len(list)-1], nil
}

// newRelease is the record of a release from what is live to what is on the idle colour.
func (c *Controller) newRelease(ctx context.Context, service uint16, req api.ReleaseRequest) (release.Record, error) {
	r, err := c.draft(ctx, service, req)
	if err != nil {
		return r, err
	}
	if err := release.MayBegin(c.state.Services[req.Service].Releases); err != nil {
		return r, refusedRelease(req.Service, err)
	}
	return r, c.mayReleaseAlone(r, req)
}

// mayReleaseAlone refuses a release that would part a service from its group by an oversight.
func (c *Controller) mayReleaseAlone(r release.Record, req api.ReleaseRequest) error {
	if !r.Plan.Strategy.Flips() {
		return nil
	}
	return c.mayGoAlone(req.Service, req.Alone, actRelease)
}

// draft is the record that a release would have.
func (c *Controller) draft(ctx context.Context, service uint16, req api.ReleaseRequest) (release.Record, error) {
	s := c.image.Services[service]
	var cfg config.Service
	ok := c.cfg != nil
	if ok {
		cfg, ok = c.cfg.Service(req.Service)
	}
	switch {
	case !ok:
		return release.Record{}, api.Errorf(api.Refused, "service %s: it is no longer in the configuration file", req.Service)
	case s.Steer.Live == 0:
		return release.Record{}, api.Errorf(api.Refused, "service %s: nothing is live", req.Service)
	}
	plan := release.PlanOf(cfg)
	if c.releases.plan != nil {
		c.releases.plan(cfg, &plan)
	}
	to := s.Steer.Live
	if plan.Strategy.Flips() {
		var err error
		if to, err = c.target(service, ""); err != nil {
			return release.Record{}, err
		}
	}
	if plan.Strategy == release.Canary && to != s.Steer.Candidate {
		return release.Record{}, api.Errorf(api.Refused, "service %s: generation %d was live before, and only a candidate gets a share of the clients: give the idle colour a new version, or flip",
			req.Service, c.image.Generations[to].Number)
	}
	// A number is never given twice, also where the state file was lost: the journal has which hooks have run under it.
	number := max(c.releases.newest[req.Service]+1, c.state.Services[req.Service].NextRelease)
	r := release.New(number, req.Service, plan, named(c.ref(s.Steer.Live)), named(c.ref(to)), actorOf(ctx).String(), req.Reason, c.releaseNow())
	if r.Forced = req.Force; !plan.Strategy.Flips() {
		r.Backends = c.changeable(to)
	}
	if plan.Strategy == release.Rolling && plan.Batch >= len(r.Backends) {
		return r, api.Errorf(api.Refused, "service %s: a batch of %d of %d backends leaves none for new sessions: give release.batch less, or the strategy in-place",
			req.Service, plan.Batch, len(r.Backends))
	}
	return r, nil
}

func named(g api.GenerationRef) release.Generation {
	return release.Generation{Number: g.Number, Colour: g.Colour, Version: g.Version}
}

// noClosing refuses to open or close what a release does.
func (c *Controller) noClosing(name string) error {
	for _, r := range c.state.Services[name].Releases {
		if r.Plan.Strategy == release.InPlace && r.Front() && r.Stop == nil {
			return api.Errorf(api.Refused, "service %s: release %d closes and opens it: pause it first, or abort it", name, r.Number)
		}
	}
	return nil
}

// noStepping refuses a share that a release would take back.
func (c *Controller) noStepping(name string) error {
	for _, r := range c.state.Services[name].Releases {
		if r.State == release.Stepping {
			return api.Errorf(api.Refused, "service %s: release %d sets the share: pause it first, or abort it", name, r.Number)
		}
	}
	return nil
}

// rollbackRelease is for a rollback of a service whose live generation a release brought that is not over, or whose backends
// one changes: it knows what else is to be taken back.
func (c *Controller) rollbackRelease(ctx context.Context, service uint16, req api.RollbackRequest) (res api.FlipResult, its bool, err error) {
	live := c.image.Generations[c.image.Services[service].Steer.Live].Number
	for _, r := range c.state.Services[req.Service].Releases {
		if r.State.Over() || r.Plan.Strategy.Flips() && r.To.Number != live {
			continue
		}
		if r.Group != nil && req.Alone {
			return res, true, api.Errorf(api.Refused, "service %s: release %d goes back together with its group %s: leave --alone out, or part it by a flip: ebbtide flip %s --to %s --alone",
				req.Service, r.Number, r.Group.Name, req.Service, r.From.Colour)
		}
		next, t, err := release.Step(r, release.Input{Event: release.Rollback, By: actorOf(ctx).String(), Why: req.Reason}, c.facts(r), c.releaseNow())
		if err != nil {
			return res, true, refusedRelease(req.Service, err)
		}
		services, err := c.saidTo(ctx, r, api.ReleaseRollback)
		if err != nil {
			return res, true, err
		}
		if err := c.unlockedByHand(ctx, req.Act, services...); err != nil {
			return res, true, err
		}
		if _, err := c.keep(ctx, r, next, t); err != nil {
			return res, true, api.Errorf(api.Failed, "%s; nothing was changed", err)
		}
		if !r.Plan.Strategy.Flips() { // nothing has flipped, but perhaps to a lobby
			c.advance(req.Service, r.Number)
			return api.FlipResult{Service: req.Service, Changed: true, Live: c.ref(c.image.Services[service].Steer.Live)}, true, nil
		}
		all, err := c.flipBack(ctx, req.Act, next)
		for _, member := range all.Members {
			if member.Service == req.Service {
				res = member
			}
		}
		return res, true, err
	}
	return res, false, nil
}

// Releases lists the releases of a service.
func (c *Controller) Releases(_ context.Context, req api.ReleasesRequest) (api.Releases, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.service(req.Service); err != nil {
		return api.Releases{}, err
	}
	out := api.Releases{Service: req.Service, Releases: []api.Release{}}
	for _, r := range c.state.Services[req.Service].Releases {
		if req.Number == 0 || req.Number == r.Number {
			out.Releases = append(out.Releases, c.shownRelease(req.Service, r.Number))
		}
	}
	if req.Number != 0 && len(out.Releases) == 0 {
		return out, api.Errorf(api.NotFound, "service %s: there is no release %d, or it is long over", req.Service, req.Number)
	}
	return out, nil
}

// WatchRelease follows a release until it is over.
func (c *Controller) WatchRelease(ctx context.Context, req api.ReleasesRequest, yield func(api.Release) error) error {
	c.mu.Lock()
	_, err := c.service(req.Service)
	var r release.Record
	if err == nil {
		r, err = c.chosenRelease(req.Service, req.Number, false)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	for {
		c.mu.Lock()
		shown := c.shownRelease(req.Service, r.Number)
		change := c.change
		c.mu.Unlock()
		shown.Done = shown.Over
		if err := yield(shown); err != nil || shown.Done {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-change:
		}
	}
}

// shownRelease is a release as clients see it.
func (c *Controller) shownRelease(name string, number uint32) api.Release {
	r, ok := c.releaseOf(name, number)
	if !ok { // so long over that it is no longer kept
		return api.Release{Service: name, Number: number, State: string(release.Done), Over: true}
	}
	f := c.facts(r)
	out := api.Release{
		Number: r.Number, Service: name, Strategy: string(r.Plan.Strategy), State: string(r.State), Since: r.Since, Why: r.Why,
		Waits: release.Waits(r, f, c.releaseNow()), From: shownGeneration(r.From), To: shownGeneration(r.To), By: r.By, Reason: r.Reason,
		Begun: r.Begun, Flipped: shownTime(r.Flipped), Deadline: shownTime(r.Deadline), Finished: shownTime(r.Finished),
		AtFlip: r.AtFlip, Notices: r.Notices, Hooks: []string{}, Over: r.State.Over() && len(r.Pending) == 0,
	}
	if trouble := c.releases.trouble[name]; trouble.why != "" && !r.State.Over() {
		out.Waits = trouble.why
	}
	if r.Group != nil {
		out.Group = r.Group.Name
	}
	if r.Stop != nil {
		out.StoppedIn = string(r.Stop.State)
	}
	if !r.Flipped.IsZero() {
		out.Left = f.From.Left
	}
	switch r.Plan.Strategy {
	case release.Canary:
		out.Step, out.Steps = r.Step+1, len(r.Plan.Steps)
	case release.Rolling:
		out.Step, out.Steps = r.Batch+1, (len(r.Backends)+r.Plan.Batch-1)/max(1, r.Plan.Batch)
	}
	for _, g := range f.Gates {
		out.Gates = append(out.Gates, api.ReleaseGate{Gate: g.Name, Verdict: string(g.Verdict), OnFail: string(g.OnFail), Detail: g.Detail})
	}
	for _, h := range r.Pending {
		out.Hooks = append(out.Hooks, h.Transition)
	}
	return out
}

func shownGeneration(g release.Generation) api.GenerationRef {
	return api.GenerationRef{Number: g.Number, Colour: g.Colour, Version: g.Version}
}

func shownTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Verify says whether a release could begin now, and could be rolled back; and asks the candidate over the real VIPs.
func (c *Controller) Verify(ctx context.Context, req api.ReleasesRequest) (api.Verification, error) {
	c.awaitVerdicts(ctx, req.Service)
	out, flips, err := c.verify(ctx, req)
	if err != nil || !flips {
		return out, err
	}
	probes, ok := shownChecks(c.probeChecks(ctx, req.Service, out.To.Number))
	out.Checks, out.OK = append(out.Checks, probes...), out.OK && ok
	return out, nil
}

func (c *Controller) verify(ctx context.Context, req api.ReleasesRequest) (out api.Verification, flips bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, err := c.service(req.Service)
	if err != nil {
		return out, false, err
	}
	r, err := c.draft(ctx, service, api.ReleaseRequest{Service: req.Service})
	if err != nil {
		return out, false, err
	}
	return c.verification(service, r), r.Plan.Strategy.Flips(), nil
}

func (c *Controller) verification(service uint16, r release.Record) api.Verification {
	out := api.Verification{Service: r.Service, From: shownGeneration(r.From), To: shownGeneration(r.To)}
	out.Checks, out.OK = shownChecks(c.checks(service, r))
	return out
}

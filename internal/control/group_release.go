package control

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/release"
)

// ReleaseGroup begins a release of each service of a group, or of none; or says a word to those that are under way.
func (c *Controller) ReleaseGroup(ctx context.Context, req api.GroupReleaseRequest) (api.GroupReleases, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes, err := c.groupWord(ctx, req)
	if err != nil {
		return api.GroupReleases{}, err
	}
	if err := c.keepAll(ctx, changes); err != nil {
		return api.GroupReleases{}, api.Errorf(api.Failed, "%s; nothing was changed", err)
	}
	c.advanceTogether(changes[0].is)
	out := api.GroupReleases{Group: req.Group}
	for _, r := range c.allOf(changes[0].is) {
		out.Releases = append(out.Releases, c.shownRelease(r.Service, r.Number))
	}
	return out, nil
}

// groupWord is what a word changes of the records of a group. Of one that ends or takes back a release the first that may hear
// it is enough: the others follow.
func (c *Controller) groupWord(ctx context.Context, req api.GroupReleaseRequest) ([]change, error) {
	if req.Do == api.ReleaseStart {
		return c.beginGroup(ctx, req)
	}
	if _, err := c.members(req.Group); err != nil {
		return nil, err
	}
	under := c.groupReleases(req.Group)
	if len(under) == 0 {
		return nil, api.Errorf(api.NotFound, "group %s: no release of it is under way", req.Group)
	}
	if err := c.maySay(ctx, req.Act, req.Do, servicesIn(under)...); err != nil {
		return nil, err
	}
	in := release.Input{Event: release.Event(req.Do), By: actorOf(ctx).String(), Why: req.Reason}
	changes, err := c.told(under, in)
	if len(changes) > 1 && (req.Do == api.ReleaseAbort || req.Do == api.ReleaseRollback) {
		changes = changes[:1]
	}
	return changes, err
}

// told steps those of a group's releases that may hear a word. Where none may, it says why the first may not.
func (c *Controller) told(under []release.Record, in release.Input) (changes []change, err error) {
	for _, r := range under {
		next, t, refused := release.Step(r, in, c.facts(r), c.releaseNow())
		if refused == nil {
			changes = append(changes, change{r, next, t})
		} else if err == nil {
			err = refusedRelease(r.Service, refused)
		}
	}
	if len(changes) > 0 {
		return changes, nil
	}
	return nil, err
}

// beginGroup is a release of each of a group's services, whose members name each other.
func (c *Controller) beginGroup(ctx context.Context, req api.GroupReleaseRequest) ([]change, error) {
	members, err := c.members(req.Group)
	if err != nil {
		return nil, err
	}
	var records []release.Record
	var moves []move
	for _, service := range members {
		r, err := c.memberRelease(ctx, service, req)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
		moves = append(moves, move{service: service, to: c.generationNumbered(service, r.To.Number)})
	}
	if fresh, back := c.freshAndBack(moves); len(fresh) > 0 && len(back) > 0 {
		return nil, api.Errorf(api.Refused, "group %s: %s would go to a new generation, and %s back to an old one: stage a new version on each, or release those that have one with --alone",
			req.Group, strings.Join(fresh, ", "), strings.Join(back, ", "))
	}
	if err := c.maySay(ctx, req.Act, req.Do, servicesIn(records)...); err != nil {
		return nil, err
	}
	var changes []change
	for i, r := range records {
		r.Group = &release.Group{Name: req.Group}
		for j, other := range records {
			if i != j {
				r.Group.With = append(r.Group.With, release.Member{Service: other.Service, Number: other.Number})
			}
		}
		next, t, err := release.Step(r, release.Input{Event: release.Start, By: actorOf(ctx).String(), Why: req.Reason}, c.ownFacts(r, c.checks), c.releaseNow())
		if err != nil {
			return nil, refusedRelease(r.Service, err)
		}
		changes = append(changes, change{r, next, t})
	}
	return changes, nil
}

// mayGroup says whether services of a strategy flip in one step.
func mayGroup(s release.Strategy) bool { return s == release.Session || s == release.Instant }

// memberRelease is the record of a release of one of a group's services, which nobody has seen yet.
func (c *Controller) memberRelease(ctx context.Context, service uint16, req api.GroupReleaseRequest) (release.Record, error) {
	name := c.image.Services[service].Name
	r, err := c.draft(ctx, service, api.ReleaseRequest{Act: req.Act, Service: name, Do: req.Do, Force: req.Force})
	if err != nil {
		return r, err
	}
	if !mayGroup(r.Plan.Strategy) {
		return r, api.Errorf(api.Refused, "service %s: its strategy is %s, and only services of the strategies session and instant flip in one step: give it one of these, or release it alone",
			name, r.Plan.Strategy)
	}
	if err := release.MayBegin(c.state.Services[name].Releases); err != nil {
		return r, refusedRelease(name, err)
	}
	return r, nil
}

// groupReleases are those of the newest release of a group that is under way, in the order of their services.
func (c *Controller) groupReleases(group string) []release.Record {
	var newest *release.Record
	for _, s := range c.state.Services {
		for _, r := range s.Releases {
			if r.Group != nil && r.Group.Name == group && !r.State.Over() && (newest == nil || r.Begun.After(newest.Begun)) {
				newest = &r
			}
		}
	}
	if newest == nil {
		return nil
	}
	return slices.DeleteFunc(c.allOf(*newest), func(r release.Record) bool { return r.State.Over() })
}

// allOf is a release with the others of its group, in the order of their services.
func (c *Controller) allOf(r release.Record) []release.Record {
	all := []release.Record{r}
	if now, ok := c.releaseOf(r.Service, r.Number); ok {
		all[0] = now
	}
	if r.Group == nil {
		return all
	}
	for _, m := range r.Group.With {
		if other, ok := c.releaseOf(m.Service, m.Number); ok {
			all = append(all, other)
		}
	}
	slices.SortFunc(all, func(a, b release.Record) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

func servicesIn(records []release.Record) (names []string) {
	for _, r := range records {
		names = append(names, r.Service)
	}
	return names
}

// saidTo are the services that a word to a release is about: what ends it or takes it back does so with its group. Whoever may
// ask for some of these only is refused.
func (c *Controller) saidTo(ctx context.Context, r release.Record, word string) ([]string, error) {
	if r.Group == nil || word != api.ReleaseAbort && word != api.ReleaseRollback {
		return []string{r.Service}, nil
	}
	all := servicesIn(c.allOf(r))
	if caller, remote := api.CallerOf(ctx); remote && len(caller.Services) > 0 {
		for _, name := range all {
			if !slices.Contains(caller.Services, name) {
				return nil, api.Errorf(api.Forbidden, "%s may ask for the services %s only, and release %d of %s ends together with that of %s",
					caller, strings.Join(caller.Services, ", "), r.Number, r.Service, name)
			}
		}
	}
	return all, nil
}

// peersOf are the others of a release's group.
func (c *Controller) peersOf(r release.Record) (peers []release.Peer) {
	for _, m := range r.Group.With {
		p := release.Peer{Record: release.Record{Service: m.Service, Number: m.Number}}
		if other, ok := c.releaseOf(m.Service, m.Number); ok {
			p = release.Peer{Record: other, Facts: c.ownFacts(other, c.checkedOnce)}
		}
		peers = append(peers, p)
	}
	return peers
}

// checkedOnce are the checks of a release that others of its group wait for: all of these ask, and it is looked once.
func (c *Controller) checkedOnce(service uint16, r release.Record) []release.Check {
	of := release.Member{Service: r.Service, Number: r.Number}
	checks, known := c.releases.checked[of]
	if !known {
		checks = c.checks(service, r)
		if c.releases.checked == nil {
			c.releases.checked = map[release.Member][]release.Check{}
		}
		c.releases.checked[of] = checks
	}
	return checks
}

// goingWith is a release with those of its group that flip, or go back, in one step with it.
func (c *Controller) goingWith(r release.Record) []release.Record {
	all := []release.Record{r}
	if r.Group == nil {
		return all
	}
	for _, p := range c.peersOf(r) {
		if release.GoesWith(r, p) {
			all = append(all, p.Record)
		}
	}
	slices.SortFunc(all, func(a, b release.Record) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

// advanceTogether is advance of a release and of the others of its group: twice, for what the last one does lets the first go on.
func (c *Controller) advanceTogether(r release.Record) {
	all := c.allOf(r)
	c.releases.checked = nil
	for range min(2, len(all)) {
		for _, one := range all {
			c.advance(one.Service, one.Number)
		}
	}
}

// takeBack says to the releases of a group that they go back. It gives the one that heard it.
func (c *Controller) takeBack(ctx context.Context, act api.Act, under []release.Record) (release.Record, error) {
	if err := c.unlockedByHand(ctx, act, servicesIn(under)...); err != nil {
		return release.Record{}, err
	}
	changes, err := c.told(under, release.Input{Event: release.Rollback, By: actorOf(ctx).String(), Why: act.Reason})
	if err != nil {
		return release.Record{}, err
	}
	if err := c.keepAll(ctx, changes[:1]); err != nil {
		return release.Record{}, api.Errorf(api.Failed, "%s; nothing was changed", err)
	}
	return changes[0].is, nil
}

// flipBack flips a release back that goes back already, with its group, and gives the proof.
func (c *Controller) flipBack(ctx context.Context, act api.Act, r release.Record) (res api.GroupFlipResult, err error) {
	defer c.advanceTogether(r)
	if r.Group != nil {
		res.Group = r.Group.Name
		for _, other := range c.allOf(r) {
			if other.Service != r.Service {
				c.follow(other)
			}
		}
	}
	f := c.facts(r)
	if f.Live != r.To.Number { // it had not flipped
		return res, nil
	}
	if f.Group.Apart != "" {
		return res, api.Errorf(api.Failed, "service %s: release %d goes back, but not yet: it waits for %s", r.Service, r.Number, f.Group.Apart)
	}
	return c.releaseFlip(ctx, act, r, false)
}

// follow lets a release make the transition that another of its group is the reason of, and does not act on it yet.
func (c *Controller) follow(r release.Record) {
	c.tellRelease(r.Service, r.Number, release.Input{Event: release.Goes})
}

// groupIsWhole says whether the state or the journal knows the beginning of all that a release began with.
func (c *Controller) groupIsWhole(r release.Record, newest map[string]map[uint32][]noted) bool {
	if r.Group == nil {
		return true
	}
	for _, m := range r.Group.With {
		list := newest[m.Service][m.Number]
		other, known := c.releaseOf(m.Service, m.Number)
		if !known && len(list) > 0 {
			other, known = list[len(list)-1].record, true
		}
		if !known || other.Group == nil || !slices.Contains(other.Group.With, release.Member{Service: r.Service, Number: r.Number}) {
			return false
		}
	}
	return true
}

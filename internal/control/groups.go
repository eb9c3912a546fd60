package control

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// FlipGroup flips all services of a group, or none: whatever can be refused is refused for each before the first store.
func (c *Controller) FlipGroup(ctx context.Context, req api.GroupFlipRequest) (api.GroupFlipResult, error) {
	return c.flipGroup(ctx, req, nil)
}

// flipGroup flips a group, services that colours names to these, all others as it is asked for.
func (c *Controller) flipGroup(ctx context.Context, req api.GroupFlipRequest, colours map[string]string) (api.GroupFlipResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	members, err := c.members(req.Group)
	if err != nil {
		return api.GroupFlipResult{}, err
	}
	var moves []move
	for _, service := range members {
		to, err := c.target(service, cmp.Or(colours[c.image.Services[service].Name], req.To))
		if err != nil {
			return api.GroupFlipResult{}, err
		}
		if to == c.image.Services[service].Steer.Live {
			continue
		}
		if err := c.noClosing(c.image.Services[service].Name); err != nil {
			return api.GroupFlipResult{}, err
		}
		if !req.Force {
			if err := c.mayFlip(service, to); err != nil {
				return api.GroupFlipResult{}, err
			}
		}
		moves = append(moves, move{service: service, to: to})
	}
	if err := c.oneWay(req, moves); err != nil && colours == nil {
		return api.GroupFlipResult{}, err
	}
	return c.moveGroup(ctx, actFlip, req.Act, req.Group, members, moves)
}

// RollbackGroup rolls all services of a group back, or none.
func (c *Controller) RollbackGroup(ctx context.Context, req api.GroupRollbackRequest) (api.GroupFlipResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	members, err := c.members(req.Group)
	if err != nil {
		return api.GroupFlipResult{}, err
	}
	if under := c.groupReleases(req.Group); len(under) > 0 {
		r, err := c.takeBack(ctx, req.Act, under)
		if err != nil {
			return api.GroupFlipResult{}, err
		}
		res, err := c.flipBack(ctx, req.Act, r)
		return c.withUnchanged(res, members), err
	}
	var moves []move
	for _, service := range members {
		if err := c.noReleaseOf(service); err != nil {
			return api.GroupFlipResult{}, err
		}
		to, err := c.before(service)
		if err != nil {
			return api.GroupFlipResult{}, err
		}
		moves = append(moves, move{service: service, to: to})
	}
	return c.moveGroup(ctx, actRollback, req.Act, req.Group, members, moves)
}

// noReleaseOf refuses to roll a group back over the release of one of its services: that has its own way back.
func (c *Controller) noReleaseOf(service uint16) error {
	s := c.image.Services[service]
	for _, r := range c.state.Services[s.Name].Releases {
		if !r.State.Over() {
			return api.Errorf(api.Refused, "service %s: release %d is under way, and goes back by ebbtide rollback %s; abort it, or roll the services of the group back one by one",
				s.Name, r.Number, s.Name)
		}
	}
	return nil
}

// oneWay refuses a flip, to the other colour of each, that would bring some services to something new and others back: one
// that was flipped alone makes it so.
func (c *Controller) oneWay(req api.GroupFlipRequest, moves []move) error {
	fresh, back := c.freshAndBack(moves)
	if req.To != "" || len(fresh) == 0 || len(back) == 0 {
		return nil
	}
	return api.Errorf(api.Refused, "group %s: %s would go to a new generation, and %s back to an old one: name the colour with --to, or flip them with --alone",
		req.Group, strings.Join(fresh, ", "), strings.Join(back, ", "))
}

// freshAndBack are the services that would go to a new generation, and those that would go back to an old one.
func (c *Controller) freshAndBack(moves []move) (fresh, back []string) {
	for _, m := range moves {
		list := &back
		if c.image.Generations[m.to].State == kernel.Candidate {
			list = &fresh
		}
		*list = append(*list, c.image.Services[m.service].Name)
	}
	return fresh, back
}

// moveGroup makes the moves of a group, and tells of its other services that they have not changed.
func (c *Controller) moveGroup(ctx context.Context, what string, act api.Act, group string, members []uint16, moves []move) (api.GroupFlipResult, error) {
	out := api.GroupFlipResult{Group: group}
	if len(moves) > 0 {
		var err error
		if out, err = c.journaledFlips(ctx, what, act, moves, group); err != nil {
			return out, err
		}
	}
	return c.withUnchanged(out, members), nil
}

// withUnchanged adds those of a group that were not flipped, in the order of their names.
func (c *Controller) withUnchanged(out api.GroupFlipResult, members []uint16) api.GroupFlipResult {
	made := map[string]api.FlipResult{}
	for _, res := range out.Members {
		made[res.Service] = res
	}
	out.Members = nil
	for _, service := range members {
		s := c.image.Services[service]
		res, changed := made[s.Name]
		if !changed {
			res = api.FlipResult{Service: s.Name, Live: c.ref(s.Steer.Live)}
		}
		out.Members = append(out.Members, res)
	}
	return out
}

// journaledFlips is a flip of one service, or of a group, between its events: each service has its own.
func (c *Controller) journaledFlips(ctx context.Context, what string, req api.Act, moves []move, group string) (api.GroupFlipResult, error) {
	res := api.GroupFlipResult{Group: group}
	by, unlocked := api.EndedByFlip, c.unlocked
	if what == actRollback {
		by, unlocked = api.EndedByRollback, c.unlockedByHand
	}
	names := make([]string, len(moves))
	for i, m := range moves {
		names[i] = c.image.Services[m.service].Name
	}
	if err := unlocked(ctx, req, slices.Clone(names)...); err != nil {
		return res, err
	}
	var acts []*act
	for i, m := range moves {
		a, err := c.begin(ctx, what, names[i], req.Reason, c.liveNow(m.service), liveIs{c.ref(m.to), group})
		if err != nil {
			endAll(acts, err)
			return res, err
		}
		acts = append(acts, a)
	}
	apart, barrier, err := c.flipAll(moves, by)
	if err != nil {
		endAll(acts, err)
		return res, err
	}
	res.ApartNanos, res.BarrierMicros = apart.Nanoseconds(), barrier.Microseconds()
	for i, m := range moves {
		proof, failed := c.proof(m, barrier)
		acts[i].end(proof, failed)
		res.Members = append(res.Members, proof)
		if err == nil {
			err = failed
		}
	}
	return res, err
}

func endAll(acts []*act, err error) {
	for _, a := range acts {
		a.end(nil, err)
	}
}

// members are the services of a group, in the order of their names.
func (c *Controller) members(group string) ([]uint16, error) {
	if err := c.there(); err != nil {
		return nil, err
	}
	var out []uint16
	for _, index := range c.serviceIndexes() {
		s := c.image.Services[index]
		if s.Steer.Live != 0 && c.state.Services[s.Name].Group == group {
			out = append(out, index)
		}
	}
	if len(out) == 0 {
		return nil, api.Errorf(api.NotFound, "group %s: no service is in it", group)
	}
	return out, nil
}

// mayGoAlone refuses to part a service from its group by an oversight.
func (c *Controller) mayGoAlone(name string, alone bool, what string) error {
	group := c.state.Services[name].Group
	if group == "" || alone {
		return nil
	}
	if members, err := c.members(group); err != nil || len(members) < 2 {
		return err
	}
	return api.Errorf(api.Refused, "service %s: it flips together with its group: use ebbtide %s --group %s, or give --alone", name, what, group)
}

// saveFlip is save, before a flip. Of more than one service it says so: the stores that a crash leaves out are made by the
// next daemon. That of a single one makes an earlier flip of a group a thing of the past.
func (c *Controller) saveFlip(want *image.Image, moves []move) error {
	next := stateOf(want, c.state)
	next.GroupFlip = nil
	if len(moves) > 1 {
		next.GroupFlip = map[string]uint32{}
		for _, m := range moves {
			next.GroupFlip[want.Services[m.service].Name] = want.Generations[m.to].Number
		}
	}
	return c.saveState(next)
}

// resumeGroupFlip makes the rest of the stores of a group's flip that was cut short between them: new sessions of some of
// its services have begun on the new generation, so the way out is forward. Where none was made, none is.
func (c *Controller) resumeGroupFlip() error {
	var rest []move
	made := 0
	for name, number := range c.state.GroupFlip {
		service, ok := c.image.ServiceNamed(name)
		to := c.generationNumbered(service, number)
		switch live := c.image.Services[service].Steer.Live; {
		case !ok || to == 0:
		case live == to:
			made++
		default:
			rest = append(rest, move{service: service, to: to, old: live})
		}
	}
	if made == 0 || len(rest) == 0 {
		return nil
	}
	want := c.image
	for _, m := range rest {
		want = c.flipped(want, m.service, m.to)
		c.log.Info("a crash had cut the flip of a group short: it is finished", "service", c.image.Services[m.service].Name)
	}
	if _, err := c.store("resume", rest, want); err != nil {
		return err
	}
	for _, m := range rest {
		s := c.image.Services[m.service]
		s.Steer = want.Services[m.service].Steer
		c.image = c.image.WithService(m.service, s)
	}
	return nil
}

// setGroups notes which services a configuration has put together.
func setGroups(services map[string]state.Service, cfg *config.Config) {
	for name, rec := range services {
		s, _ := cfg.Service(name)
		rec.Group = s.Group
		services[name] = rec
	}
}

// planGroups says what a reload changes of the groups.
func (c *Controller) planGroups(cfg *config.Config, d *describer) {
	for _, s := range cfg.Services {
		if was := c.state.Services[s.Name].Group; was != s.Group {
			d.add(s.Name, "group %s, before it %s", groupName(s.Group), groupName(was))
		}
	}
}

func groupName(name string) string {
	if name == "" {
		return "none"
	}
	return name
}

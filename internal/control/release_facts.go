package control

import (
	"fmt"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// facts are what a release has to know. The lock is held.
func (c *Controller) facts(r release.Record) release.Facts {
	f := c.ownFacts(r, c.checks)
	if r.Group != nil && !r.State.Over() {
		f.Group = release.TogetherWith(r, c.peersOf(r), c.releaseNow())
	}
	return f
}

// ownFacts are facts, but for those of a release's group, with checks that are made so.
func (c *Controller) ownFacts(r release.Record, checks func(uint16, release.Record) []release.Check) release.Facts {
	service, ok := c.image.ServiceNamed(r.Service)
	if !ok {
		return release.Facts{}
	}
	steer := c.image.Services[service].Steer
	f := release.Facts{
		Live: c.image.Generations[steer.Live].Number,
		From: c.standing(service, r.From.Number), To: c.standing(service, r.To.Number),
		Other: release.Other(c.state.Services[r.Service].Releases, r.Number),
		Held:  c.heldBy(r.Service), Ending: c.endingHook(r),
	}
	if candidate := c.image.Generations[steer.Candidate]; steer.Candidate != 0 && candidate.Number == r.To.Number {
		f.Share = steer.Share
	}
	f.Resting = c.restingFacts(service, r)
	if r.State == release.Verifying || r.State == release.Checking {
		f.Checks = checks(service, r)
	}
	f.Gates = c.gatesOf(r)
	return f
}

// emptying says whether a release waits for sessions of what is live to end: no generation drains then.
func (c *Controller) emptying() bool {
	for _, s := range c.state.Services {
		for _, r := range s.Releases {
			if !r.Plan.Strategy.Flips() && (r.State == release.Emptying || r.State == release.Migrating) {
				return true
			}
		}
	}
	return false
}

// heldBy is why no change may begin in a service now; empty: it may.
func (c *Controller) heldBy(name string) string {
	if lock := c.state.Services[name].Lock; c.holds(lock) {
		return fmt.Sprintf("locked by %s until %s: %s", lock.By, lock.Until.Format(time.RFC3339), lock.Reason)
	}
	if w, held := c.freezes.Holds(name, c.opt.Now()); held {
		return fmt.Sprintf("frozen until %s by the configuration: %s", w.Until.Format(time.RFC3339), w.Reason)
	}
	return ""
}

// generationNumbered finds a generation by its number; 0: it is gone.
func (c *Controller) generationNumbered(service uint16, number uint32) uint16 {
	for _, g := range c.image.GenerationsOf(service) {
		if c.image.Generations[g].Number == number {
			return g
		}
	}
	return 0
}

// standing is where a generation stands, by the newest sweep.
func (c *Controller) standing(service uint16, number uint32) release.Standing {
	g := c.generationNumbered(service, number)
	if g == 0 {
		return release.Standing{}
	}
	rec, found := c.image.Generations[g], c.sessions(g)
	left := found.Total
	if left == 0 { // a flow may outlive its client's session
		left = found.Flows
	}
	s := release.Standing{
		State: release.Life(stateName(rec.State)), InPool: rec.Colour != kernel.NoColour, Left: left,
		Unmarked: found.HalfOpen + found.Young + found.Established,
	}
	if d := c.drains[g]; d != nil {
		s.Doubt = d.reason
		s.Uncounted = d.endedBy == "" && (c.complete <= d.after || c.last.Missed > 0)
	}
	return s
}

// checks are what has to hold before a release changes anything.
func (c *Controller) checks(service uint16, r release.Record) []release.Check {
	to := c.generationNumbered(service, r.To.Number)
	if to == 0 {
		return []release.Check{{Name: "candidate", Detail: fmt.Sprintf("generation %d is gone", r.To.Number)}}
	}
	if !r.Plan.Strategy.Flips() {
		checks := []release.Check{c.backendsCheck("backends", service, to)}
		if r.Plan.Busy == string(config.BusyPool) && r.State != release.Checking {
			checks = append(checks, c.lobbyCheck(service))
		}
		if r.State == release.Checking {
			checks = append(checks, c.changedCheck(service, to, r))
		}
		return checks
	}
	checks := []release.Check{c.backendsCheck("candidate", service, to)}
	checks = append(checks, c.healthChecks("candidate health", service, to)...)
	checks = append(checks, c.rollbackCheck(service, r))
	from := c.generationNumbered(service, r.From.Number)
	if from != 0 {
		checks = append(checks, c.healthChecks("rollback health", service, from)...)
	}
	checks = append(checks, c.capacityCheck(service, from, to))
	checks = append(checks, c.tableChecks(service)...)
	return append(checks, c.probed(r)...)
}

// lobbyCheck looks whether the idle colour could take newcomers while an in-place release changes the live one.
func (c *Controller) lobbyCheck(service uint16) release.Check {
	lobby, err := c.target(service, "")
	if err != nil {
		return release.Check{Name: "lobby", Detail: err.Error()}
	}
	return c.backendsCheck("lobby", service, lobby)
}

// backendsCheck looks whether a generation could take sessions of each family that the service listens in.
func (c *Controller) backendsCheck(name string, service, g uint16) release.Check {
	check := release.Check{Name: name, OK: true}
	families := c.image.Families(service)
	for _, f := range kernel.Families() {
		if !families[f] {
			continue
		}
		usable, of, _ := c.usableBackends(g, f)
		check.OK = check.OK && usable > 0
		if check.Detail != "" {
			check.Detail += ", "
		}
		check.Detail += fmt.Sprintf("%d of %d %s backends of generation %d have a weight and a resolved next hop",
			usable, of, familyName(f), c.image.Generations[g].Number)
	}
	return check
}

// usableBackends are those of a family that could take a session, and the weight of these.
func (c *Controller) usableBackends(g uint16, f kernel.Family) (usable, of int, weight uint64) {
	for _, id := range c.image.BackendsOf(g) {
		b := c.image.Backends[id]
		if b.Use != kernel.InPool || !b.Addrs[f].IsValid() {
			continue
		}
		of++
		if _, resolved := c.plane.Tables.Hop(f, id); resolved && b.Weight > 0 {
			usable++
			weight += uint64(b.Weight)
		}
	}
	return usable, of, weight
}

// rollbackCheck proves that the generation that is live now could take everything back: it has backends, keeps its colour,
// and a flip to it would be accepted.
func (c *Controller) rollbackCheck(service uint16, r release.Record) release.Check {
	from := c.generationNumbered(service, r.From.Number)
	switch {
	case from == 0:
		return release.Check{Name: "rollback", Detail: fmt.Sprintf("generation %d is gone", r.From.Number)}
	case c.image.Generations[from].Colour == kernel.NoColour:
		return release.Check{Name: "rollback", Detail: fmt.Sprintf("generation %d is in no pool", r.From.Number)}
	}
	check := c.backendsCheck("rollback", service, from)
	if check.OK {
		check.Detail += "; a flip back to it is accepted"
	}
	return check
}

func shownChecks(checks []release.Check) (out []api.Check, ok bool) {
	ok = true
	for _, k := range checks {
		out = append(out, api.Check{Name: k.Name, OK: k.OK, Detail: k.Detail, Unknown: k.Unknown})
		ok = ok && k.OK
	}
	return out, ok
}

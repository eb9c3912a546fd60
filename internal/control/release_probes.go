package control

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/release"
)

// candidateProbe is what the probes of a release have found, of the time since which its checks are made.
type candidateProbe struct {
	since  time.Time
	probes []config.Probe
	of     map[string]bool // backends that took new sessions when they were asked, and when they had answered
	asked  time.Time       // when the answers were there
	checks []release.Check
}

// probesAgain is the pause before a candidate that did not pass is asked again: it may be starting.
const probesAgain = 2 * time.Second

func probesName(r release.Record) string { return fmt.Sprintf("probe %s %d", r.Service, r.Number) }

// probes says whether a release asks its candidate where it stands: as verify does, while it makes its checks.
func (c *Controller) probes(r release.Record) bool {
	return r.State == release.Verifying && r.Plan.Strategy.Flips() && !r.Forced && c.probing.net != nil && len(c.probesOf(r.Service)) > 0
}

// askCandidate asks the candidate of a release that makes its checks, when the verify hooks are through, and again until all
// of its backends answer. The lock is held.
func (c *Controller) askCandidate(r release.Record) {
	if !c.probes(r) || slices.ContainsFunc(r.Pending, func(h release.Hook) bool { return !h.Told }) {
		return
	}
	if p := c.newestAnswer(r); p != nil && (p.passed() || c.releaseNow().Sub(p.asked) < probesAgain) {
		return
	}
	p := &candidateProbe{since: r.Since, probes: c.probesOf(r.Service), of: c.takers(r)}
	c.background(probesName(r), func(ctx context.Context) error {
		p.checks = c.probeChecks(ctx, r.Service, r.To.Number)
		return nil
	}, func(error) { c.keepAnswer(r, p) })
}

// keepAnswer keeps what a candidate answered. Who has rested meanwhile may not have been asked. Those who answered before need not answer again
// when others come and go.
func (c *Controller) keepAnswer(r release.Record, p *candidateProbe) {
	now := c.takers(r)
	maps.DeleteFunc(p.of, func(is string, _ bool) bool { return !now[is] })
	if was := c.releases.probed[probesName(r)]; was.passed() && p.passed() && was.since.Equal(p.since) && reflect.DeepEqual(was.probes, p.probes) {
		maps.Copy(p.of, was.of)
	}
	if c.releases.probed == nil {
		c.releases.probed = map[string]*candidateProbe{}
	}
	p.asked = c.releaseNow()
	c.releases.probed[probesName(r)] = p
}

// passed says whether there is an answer, and it is a good one.
func (p *candidateProbe) passed() bool {
	if p == nil {
		return false
	}
	_, ok := shownChecks(p.checks)
	return ok
}

// newestAnswer is the newest word of a release's candidate, as long as it holds; nil: there is none. A release may wait for long
// when its probes have passed, and a reload give the candidate backends that nobody has asked, or ask otherwise.
func (c *Controller) newestAnswer(r release.Record) *candidateProbe {
	p := c.releases.probed[probesName(r)]
	if p == nil || !p.since.Equal(r.Since) || !reflect.DeepEqual(p.probes, c.probesOf(r.Service)) {
		return nil
	}
	for is := range c.takers(r) {
		if !p.of[is] {
			return nil
		}
	}
	return p
}

// takers are the backends of a release's candidate that take new sessions, as they are now: an id may become another's.
func (c *Controller) takers(r release.Record) map[string]bool {
	out := map[string]bool{}
	service, _ := c.image.ServiceNamed(r.Service)
	for _, id := range c.inPool(c.generationNumbered(service, r.To.Number)) {
		if b := c.image.Backends[id]; c.takesNew(id) {
			out[fmt.Sprint(id, b.Addrs, b.Port)] = true
		}
	}
	return out
}

// stopAsking ends the probes of a release that makes no checks any more.
func (c *Controller) stopAsking(r release.Record) {
	if r.State == release.Verifying {
		return
	}
	if stop := c.releases.running[probesName(r)]; stop != nil {
		stop(nil)
	}
	delete(c.releases.probed, probesName(r))
}

// probed is what the probes of a release have found.
func (c *Controller) probed(r release.Record) []release.Check {
	if !c.probes(r) {
		return nil
	}
	if p := c.newestAnswer(r); p != nil {
		return p.checks
	}
	return []release.Check{{Name: "probe", Detail: "the candidate is being asked", Asking: true}}
}

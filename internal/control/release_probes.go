package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/release"
)

// candidateProbe is what the probes of a release have found, of the time since which its checks are made.
type candidateProbe struct {
	since  time.Time
	asked  time.Time // when the newest answers were there; zero: they are not yet
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
	name := probesName(r)
	p := c.releases.probed[name]
	if p == nil || !p.since.Equal(r.Since) {
		p = &candidateProbe{since: r.Since}
		if c.releases.probed == nil {
			c.releases.probed = map[string]*candidateProbe{}
		}
		c.releases.probed[name] = p
	}
	if !p.asked.IsZero() {
		if _, ok := shownChecks(p.checks); ok || c.releaseNow().Sub(p.asked) < probesAgain {
			return
		}
	}
	var found []release.Check
	c.background(name, func(ctx context.Context) error {
		found = c.probeChecks(ctx, r.Service, r.To.Number)
		return nil
	}, func(error) { p.checks, p.asked = found, c.releaseNow() })
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
	if p := c.releases.probed[probesName(r)]; p != nil && p.since.Equal(r.Since) && !p.asked.IsZero() {
		return p.checks
	}
	return []release.Check{{Name: "probe", Detail: "the candidate is being asked"}}
}

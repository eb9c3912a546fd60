package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/release"
)

// PlanRelease says what a release would do now.
func (c *Controller) PlanRelease(ctx context.Context, req api.ReleasesRequest) (api.ReleasePlan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, err := c.service(req.Service)
	if err != nil {
		return api.ReleasePlan{}, err
	}
	r, err := c.draft(ctx, service, api.ReleaseRequest{Service: req.Service})
	if err != nil {
		return api.ReleasePlan{}, err
	}
	out := api.ReleasePlan{Verification: c.verification(service, r), Strategy: string(r.Plan.Strategy)}
	sessions := c.standing(service, r.From.Number).Left
	for _, step := range outlook(r, sessions) {
		for _, transition := range step.hooks {
			if hooks := c.hookNames(r.Service, transition); len(hooks) > 0 {
				step.named = append(step.named, transition+": "+strings.Join(hooks, ", "))
			}
		}
		if probes := c.probesOf(r.Service); len(probes) > 0 && step.state == release.Verifying && r.Plan.Strategy.Flips() {
			step.what += "; the candidate is asked over the real VIPs: " + probeNames(probes)
		}
		if others := c.othersOfGroup(service); len(others) > 0 && step.state == release.Flipping && mayGroup(r.Plan.Strategy) {
			step.what += fmt.Sprintf("; with --group %s in one step with %s, when all could", c.state.Services[req.Service].Group, strings.Join(others, ", "))
		}
		out.Steps = append(out.Steps, api.ReleaseStep{State: string(step.state), What: step.what, Hooks: step.named})
	}
	return out, nil
}

// othersOfGroup are the services that flip together with one.
func (c *Controller) othersOfGroup(service uint16) (names []string) {
	group := c.state.Services[c.image.Services[service].Name].Group
	if group == "" {
		return nil
	}
	members, err := c.members(group)
	if err != nil {
		return nil // nothing is live in any of them
	}
	for _, m := range members {
		if m != service {
			names = append(names, c.image.Services[m].Name)
		}
	}
	return names
}

func probeNames(probes []config.Probe) string {
	var names []string
	for _, p := range probes {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// hookNames are those of a transition, without their arguments.
func (c *Controller) hookNames(service, transition string) (names []string) {
	cfg, _ := c.cfg.Service(service)
	for _, h := range cfg.Release.Hooks[transition] {
		names = append(names, h.String())
	}
	return names
}

// ahead is a state that a release will come through.
type ahead struct {
	state release.State
	what  string
	hooks []string // transitions
	named []string
}

// outlook is the way of a release that nothing stops, with the sessions that there are now.
func outlook(r release.Record, sessions uint64) []ahead {
	p := r.Plan
	var way []ahead
	add := func(state release.State, format string, args ...any) {
		way = append(way, ahead{state: state, what: fmt.Sprintf(format, args...), hooks: release.HooksOf(state)})
	}
	add(release.Verifying, "the checks are made, and again until they hold, for 30s")
	if !p.Strategy.Flips() {
		return append(way, byBackend(r)...)
	}
	for _, s := range p.Steps {
		add(release.Stepping, "%s of the clients go to generation %d, for %s, and until the gates pass", api.Percent(s.Share), r.To.Number, s.For)
	}
	add(release.Flipping, "all new sessions go to generation %d, %d sessions stay on generation %d", r.To.Number, sessions, r.From.Number)
	if p.Strategy == release.Instant {
		add(release.Migrating, "those %d sessions move to generation %d, at once", sessions, r.To.Number)
	}
	add(release.Baking, "for %s, and until the gates pass: %s", p.Bake, orNone(gateNames(p.Gates)))
	add(release.Draining, "until the kernel counts no session on generation %d", r.From.Number)
	if n := p.Notice; n != nil {
		add(release.Noticing, "those who are left are told: %s", moments(*n))
	}
	if p.Deadline > 0 {
		add(release.Migrating, "%s after the flip those who are left move, %d every %s", p.Deadline, p.Migrate.Batch, p.Migrate.Every)
	}
	add(release.Retiring, "the backends of generation %d are released", r.From.Number)
	add(release.Promoting, "generation %d is stable", r.To.Number)
	return way
}

func byBackend(r release.Record) (way []ahead) {
	p := r.Plan
	add := func(state release.State, format string, args ...any) {
		way = append(way, ahead{state: state, what: fmt.Sprintf(format, args...), hooks: release.HooksOf(state)})
	}
	if p.Strategy == release.InPlace {
		add(release.Closing, "new sessions get the busy answer: %s", p.Busy)
		add(release.Emptying, "until the kernel counts no session")
		if p.Window > 0 {
			add(release.Migrating, "%s later those who are left are moved", p.Window)
		}
	} else {
		add(release.Emptying, "%d backends at a time take no new sessions, until the kernel counts none on them", p.Batch)
	}
	add(release.Updating, "hooks change them")
	add(release.Checking, "the checks are made again")
	switch {
	case len(p.Gates) == 0:
	case p.Strategy == release.Rolling:
		add(release.Baking, "the batch takes new sessions, until the gates pass: %s", orNone(gateNames(p.Gates)))
	default:
		add(release.Baking, "until the gates pass, with testers only: %s", orNone(gateNames(p.Gates)))
	}
	add(release.Opening, "all backends take new sessions")
	add(release.Promoting, "generation %d is stable", r.To.Number)
	return way
}

func gateNames(gates []config.Gate) (names []string) {
	for _, g := range gates {
		names = append(names, g.Name)
	}
	return names
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// moments are when a notice is due, in words.
func moments(n release.Notice) string {
	var out []string
	for _, at := range n.At {
		switch {
		case at.Sessions > 0:
			out = append(out, fmt.Sprintf("when %d are left", at.Sessions))
		case at.Percent > 0:
			out = append(out, fmt.Sprintf("when %d%% have ended", at.Percent))
		default:
			out = append(out, fmt.Sprintf("%s before the deadline", at.Before))
		}
	}
	if n.Every > 0 {
		out = append(out, fmt.Sprintf("every %s", n.Every.Round(time.Second)))
	}
	return strings.Join(append(out, "at the deadline if never before"), ", ")
}

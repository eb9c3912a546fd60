package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// releaseHook runs what a service has for a transition of its release, as the configuration has it now.
func (c *Controller) releaseHook(ctx context.Context, r release.Record, h release.Hook) error {
	hooks, call, err := c.callOf(r, h)
	if err != nil {
		return err
	}
	if h.Transition == "notice" && r.Plan.Notice != nil {
		return c.notify(ctx, hooks, call, r.Plan.Notice.Batch)
	}
	return c.runHooks(ctx, hooks, call)
}

// callOf is what the hooks of a transition are told.
func (c *Controller) callOf(r release.Record, h release.Hook) ([]config.Hook, hook.Call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg == nil {
		return nil, hook.Call{}, fmt.Errorf("service %s: its hooks are not known, for the configuration file could not be applied: mend it and reload", r.Service)
	}
	service, _ := c.cfg.Service(r.Service)
	call := hook.Call{
		Key: h.Key, Transition: h.Transition, Service: r.Service, Release: r.Number, From: api.GenerationRef(r.From),
		To: api.GenerationRef(r.To), Actor: r.By, Reason: r.Reason, Deadline: r.Deadline, At: r.Since,
	}
	switch h.Transition {
	case "update":
		call.Backends = addressesIn(r.InTurn())
	case "bake":
		if !r.Plan.Strategy.Flips() {
			call.Backends = addressesIn(r.InTurn())
		}
	case "verify":
		if r.In() == release.Checking {
			call.Backends = addressesIn(r.InTurn())
		}
	case "retire":
		call.Backends = c.backendsOf(r.Service, r.From.Number)
	}
	return service.Release.Hooks[h.Transition], call, nil
}

// backendsOf are the addresses of a generation's backends, each once.
func (c *Controller) backendsOf(service string, number uint32) (out []string) {
	at, ok := c.image.ServiceNamed(service)
	if !ok {
		return nil
	}
	for _, b := range c.image.BackendsOf(c.generationNumbered(at, number)) {
		for _, f := range kernel.Families() {
			if a := c.image.Backends[b].Addrs[f]; a.IsValid() {
				out = append(out, a.String())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

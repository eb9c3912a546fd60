package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// changeable are the backends that a rolling or in-place release changes: those of the live generation's pool.
func (c *Controller) changeable(g uint16) (names []string) {
	for _, id := range c.image.BackendsOf(g) {
		if b := c.image.Backends[id]; b.Use != kernel.Removed {
			names = append(names, backendName(b))
		}
	}
	slices.Sort(names)
	return names
}

// isClosedFor says whether new sessions of an in-place release's service are kept from what it changes: told that it is busy,
// or sent to the lobby that holds the idle colour.
func (c *Controller) isClosedFor(service uint16, r release.Record) bool {
	steer := c.image.Services[service].Steer
	if r.Plan.Busy == string(config.BusyPool) {
		return c.image.Generations[steer.Live].Number != r.To.Number
	}
	return steer.Busy
}

// releaseClose keeps new sessions from the backends that are changed.
func (c *Controller) releaseClose(r release.Record) error {
	service, ok := c.image.ServiceNamed(r.Service)
	if !ok {
		return fmt.Errorf("close: the service is gone")
	}
	act := api.Act{Reason: because(r)}
	if r.Plan.Busy == string(config.BusyPool) {
		lobby, err := c.target(service, "")
		if err == nil {
			err = c.usable(service, lobby)
		}
		if err != nil {
			return fmt.Errorf("send new sessions to the lobby: %w", err)
		}
		if _, err = c.journaledFlip(context.Background(), actFlip, act, service, lobby); err != nil {
			return err
		}
		return c.restedNow(service)
	}
	answer := kernel.BusyReset
	if r.Plan.Busy == string(config.BusyICMP) {
		answer = kernel.BusyICMP
	}
	_, err := c.journaledClosed(context.Background(), actClose, service, act, answer, true)
	return err
}

// releaseOpen gives back what a release has taken: the service, and each of its backends, takes new sessions again. That is
// no change that a lock keeps from happening.
func (c *Controller) releaseOpen(r release.Record) error {
	service, ok := c.image.ServiceNamed(r.Service)
	if !ok {
		return nil
	}
	act := api.Act{Reason: because(r), BreakLock: true}
	if r.Plan.Strategy != release.InPlace {
		return c.rest(service)
	}
	if r.Plan.Busy != string(config.BusyPool) {
		_, err := c.journaledClosed(context.Background(), actOpen, service, act, kernel.BusyReset, false)
		return err
	}
	home := c.generationNumbered(service, r.To.Number)
	if home == 0 {
		return fmt.Errorf("open: generation %d is gone", r.To.Number)
	}
	_, err := c.journaledFlip(context.Background(), actRollback, act, service, home)
	return err
}

func (c *Controller) releaseRest(r release.Record) error {
	service, ok := c.image.ServiceNamed(r.Service)
	if !ok {
		return fmt.Errorf("rest: the service is gone")
	}
	return c.rest(service)
}

// changedCheck looks whether the backends that were changed could take sessions again: all of a rolling release's batch. A
// service that is closed opens when no smaller share than that of its panic threshold is well.
func (c *Controller) changedCheck(service, g uint16, r release.Record) release.Check {
	of, well, resolved := 0, 0, 0
	trouble := ""
	for _, id := range c.image.BackendsOf(g) {
		b := c.image.Backends[id]
		if !slices.Contains(r.InTurn(), backendName(b)) || b.Use == kernel.Removed {
			continue
		}
		of++
		why := c.unwell(id, r.Since)
		for _, f := range kernel.Families() {
			if !b.Addrs[f].IsValid() {
				continue
			}
			if _, ok := c.plane.Tables.Hop(f, id); ok {
				resolved++
			} else if why == "" {
				why = "has an unresolved next hop"
			}
		}
		if why == "" {
			well++
		} else if trouble == "" { // one is enough to begin with
			trouble = fmt.Sprintf("%s %s; ", backendName(b), why)
		}
	}
	ok := well == of
	if r.Plan.Strategy == release.InPlace && well > 0 {
		ok = float64(well) >= c.panicBelow(service)*float64(of)
	}
	return release.Check{Name: "changed", OK: ok, Detail: fmt.Sprintf("%s%d next hops of %s are resolved", trouble, resolved, strings.Join(r.InTurn(), ", "))}
}

// addressesIn are the addresses in backends' names, for hooks.
func addressesIn(names []string) (out []string) {
	for _, name := range names {
		name, _, _ = strings.Cut(name, " ")
		out = append(out, strings.Split(name, "+")...)
	}
	return out
}

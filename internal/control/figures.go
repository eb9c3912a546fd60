package control

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/metrics"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Figures is what a scrape shows: a system call a generation and a reason, and what the last sweep found. Nothing is read
// while nobody scrapes.
func (c *Controller) Figures(context.Context) (metrics.Figures, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.opt.Now()
	f := metrics.Figures{
		Backends: len(c.image.Backends), MaxFlows: c.plane.MaxFlows(),
		SweepSeconds: c.last.took.Seconds(), LastSweep: c.last.at, ClockSet: clockSet(c.started, now, now.Sub(c.started)),
		Releases: c.releaseFigures(), Gates: c.gateFigures(),
	}
	var err error
	if f.Reasons, err = c.plane.Tables.Reasons(); err != nil {
		return f, err
	}
	if f.Interfaces, err = c.interfaces(); err != nil {
		return f, err
	}
	if f.Tables, err = c.tableFigures(); err != nil {
		return f, err
	}
	counts, err := c.plane.Tables.Counts()
	if err != nil {
		return f, err
	}
	sessions := c.sessionsByGeneration()
	for _, index := range c.serviceIndexes() {
		for _, g := range c.image.GenerationsOf(index) {
			gen := metrics.Generation{Service: c.image.Services[index].Name, Generation: c.counts(g, counts)}
			gen.Sessions = sessions[g]
			if f.Backends <= metrics.MaxBackends {
				gen.Backends = c.backendFigures(g, counts)
			}
			f.Generations = append(f.Generations, gen)
		}
	}
	return f, nil
}

// probeSample is how many slots of a table a scrape looks at: enough to see how long probes are, whatever the table's size.
const probeSample = 4096

func (c *Controller) tableFigures() (out []metrics.Table, err error) {
	shown := c.tables()
	for i, f := range kernel.Families() {
		t := metrics.Table{Table: shown[i]}
		if t.LongestProbe, err = c.plane.Tables.LongestProbe(f, probeSample); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// sessionsByGeneration adds up the newest sweep, which has the backends that have sessions.
func (c *Controller) sessionsByGeneration() map[uint16]api.Sessions {
	out := map[uint16]api.Sessions{}
	for id, n := range c.last.Sessions {
		g := c.image.Backends[id].Generation
		s := out[g]
		addSessions(&s, n)
		s.Flows += uint64(c.last.Flows[id])
		out[g] = s
	}
	for g, s := range out {
		out[g] = c.ofClients(g, s)
	}
	return out
}

// backendFigures is of each backend what a scrape shows.
func (c *Controller) backendFigures(g uint16, counts kernel.Counts) []api.Backend {
	var out []api.Backend
	for _, id := range c.image.BackendsOf(g) {
		b := c.image.Backends[id]
		shown := api.Backend{ID: id, Port: b.Port, Sessions: c.last.Sessions[id].Total()}
		noteSent(&shown, counts)
		shown.Health, shown.Occupancy = c.shownHealth(id), c.shownOccupancy(id)
		for _, f := range kernel.Families() {
			if a := b.Addrs[f]; a.IsValid() {
				shown.Addresses = append(shown.Addresses, a.String())
				if b.Use != kernel.Removed {
					shown.NextHops = append(shown.NextHops, api.NextHop{State: c.hops.get(a).State.String()})
				}
			}
		}
		out = append(out, shown)
	}
	return out
}

// clockSet is by how much the wall clock went further than the one that nobody sets, which time.Now reads beside it.
func clockSet(started, now time.Time, went time.Duration) time.Duration {
	return now.Round(0).Sub(started.Round(0)) - went
}

// releaseFigures are of the newest release of each service.
func (c *Controller) releaseFigures() (out []metrics.Release) {
	for _, name := range slices.Sorted(maps.Keys(c.state.Services)) {
		list := c.state.Services[name].Releases
		if len(list) == 0 {
			continue
		}
		newest := slices.MaxFunc(list, func(a, b release.Record) int { return cmp.Compare(a.Number, b.Number) })
		out = append(out, metrics.Release{
			Service: name, Number: newest.Number, State: string(newest.State), Strategy: string(newest.Plan.Strategy), Since: newest.Since,
		})
	}
	return out
}

// gateFigures are of the newest release of each service that had gates since the daemon started.
func (c *Controller) gateFigures() (out []metrics.Gate) {
	for _, name := range slices.Sorted(maps.Keys(c.gates.newest)) {
		w := c.gates.newest[name]
		for _, r := range w.runner.Readings() {
			out = append(out, metrics.Gate{Service: name, Release: w.release, GateReading: shownReading(r)})
		}
	}
	return out
}

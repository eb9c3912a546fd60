package control

import (
	"context"
	"fmt"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/gate"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
)

// gating is what the daemon holds of gates beside the watches of releases. A daemon that starts again begins to count anew,
// and says so where that leaves it nothing to compare with.
type gating struct {
	newest  map[string]*gateWatch // by service: of the newest release that had any, also when it is over
	history map[uint16]*marks     // by generation index
}

// gateIs is a verdict as the journal has it.
type gateIs struct {
	Release uint32       `json:"release"`
	Gate    gate.Reading `json:"gate"`
}

// toldByGate notes a new verdict, and lets the release look at it.
func (c *Controller) toldByGate(w *gateWatch, r release.Record, reading gate.Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.releases.watched[watchName(r)] != w {
		return
	}
	c.step("gate: journal")
	c.tell(journal.Event{
		Actor: journal.Actor{Daemon: true}, Act: actGate, Stage: journal.Note, Service: r.Service,
		Reason: fmt.Sprintf("%s: %s: %s", reading.Gate, reading.Verdict, reading.Detail),
	}, nil, gateIs{r.Number, reading})
	c.log.Info("gate", "service", r.Service, "release", r.Number, "gate", reading.Gate, "verdict", reading.Verdict, "why", reading.Detail)
	c.traceGate(r, reading)
	c.changed()
}

// Gates are those of a service, with the newest readings of its last release.
func (c *Controller) Gates(_ context.Context, req api.GatesRequest) (api.Gates, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.service(req.Service); err != nil {
		return api.Gates{}, err
	}
	out := api.Gates{Service: req.Service, Gates: []api.GateReading{}}
	if w := c.gates.newest[req.Service]; w != nil {
		out.Release = w.release
		for _, r := range w.runner.Readings() {
			out.Gates = append(out.Gates, shownReading(r))
		}
		return out, nil
	}
	if c.cfg != nil {
		cfg, _ := c.cfg.Service(req.Service)
		for _, g := range cfg.Release.Gates {
			out.Gates = append(out.Gates, shownReading(gate.Unread(g, c.releaseNow())))
		}
	}
	return out, nil
}

func shownReading(r gate.Reading) api.GateReading {
	return api.GateReading{
		Gate: r.Gate, Verdict: string(r.Verdict), Value: r.Value, Before: r.Before, Threshold: r.Threshold, Test: r.Test,
		Alpha: r.Alpha, P: r.P, Power: r.Power, Detail: r.Detail, OnFail: string(r.OnFail), Final: r.Final, At: r.At,
	}
}

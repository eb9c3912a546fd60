package control

import (
	"errors"
	"slices"

	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// rests is why backends take no new sessions for a time. What a release rests is not here: its record says it.
type rests struct {
	sick map[uint16]string // by backend id: what its health check found
	full map[uint16]string // what it said of how many it takes

	since map[uint16]uint64 // by service: number of the newest sweep that had begun when whoever rests had changed last
	owed  map[uint16]bool   // services whose tables could not be brought to who rests, or whose barrier did not come: the sweeps do it
}

// ofATurn is why a release rests a backend.
const ofATurn = "it is its turn to be updated"

// rest brings a service's Maglev tables to who takes new sessions now: one store a table, then a barrier. Sessions in
// progress stay where they are. The lock is held.
func (c *Controller) rest(service uint16) error {
	if c.gone {
		return nil
	}
	why := c.whoRests(service)
	want := c.image.WithRests(service, func(id uint16) bool { return why[id] != "" })
	if want == c.image && !c.rests.owed[service] {
		return nil
	}
	c.rests.owe(service)
	for _, id := range changedUse(c.image, want) {
		c.log.Info("backend", "service", c.image.Services[service].Name, "backend", addresses(want.Backends[id]),
			"new_sessions", want.Backends[id].Use == kernel.InPool, "why", why[id])
	}
	if err := c.write(want); err != nil {
		return err
	}
	c.looks.at(service) // a lost backend's sessions may have somebody to move to now
	return c.restedNow(service)
}

func (r *rests) owe(service uint16) {
	if r.owed == nil {
		r.owed = map[uint16]bool{}
	}
	r.owed[service] = true
}

// payRests does again what failed: nobody says again that a backend is sick, full, or neither.
func (c *Controller) payRests() (err error) {
	for service := range c.rests.owed {
		err = errors.Join(err, c.rest(service))
	}
	return err
}

// restedNow waits for the packets that had seen who took new sessions before: what a later sweep counts is all that is left.
func (c *Controller) restedNow(service uint16) error {
	c.rests.owe(service)
	if _, err := c.barrier("rest: barrier"); err != nil {
		return err
	}
	if c.rests.since == nil {
		c.rests.since = map[uint16]uint64{}
	}
	c.rests.since[service] = c.begun
	delete(c.rests.owed, service)
	c.changed()
	c.sweepSoon()
	return nil
}

func changedUse(was, is *image.Image) (ids []uint16) {
	for id, b := range is.Backends {
		if b.Use != was.Backends[id].Use {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// whoRests says which of a service's backends take no new sessions now, and why.
func (c *Controller) whoRests(service uint16) map[uint16]string {
	why := map[uint16]string{}
	turn, behind := c.turns(service)
	panicBelow := c.panicBelow(service)
	for _, g := range c.image.GenerationsOf(service) {
		var takers []uint16
		for _, id := range c.image.BackendsOf(g) {
			switch b := c.image.Backends[id]; {
			case b.Use == kernel.Removed:
			case turn[id]:
				why[id] = ofATurn
			case b.Weight == 0:
			case c.cfg == nil && b.Use == kernel.Resting: // how to ask it stands in a file that can't be read
				why[id] = "it did when the daemon started"
			default:
				takers = append(takers, id)
			}
		}
		takers = spare(takers, why, panicBelow, func(id uint16) string { return c.rests.sick[id] })
		takers = spare(takers, why, 0, func(id uint16) string { return c.rests.full[id] })
		spare(takers, why, 0, func(id uint16) string { return behind[id] })
	}
	return why
}

// spare lets those rest who have a reason, unless as good as all have it: when fewer than a share were left, or nobody, all
// go on. It gives those who do.
func spare(takers []uint16, why map[uint16]string, least float64, reason func(uint16) string) (left []uint16) {
	for _, id := range takers {
		if reason(id) == "" {
			left = append(left, id)
		}
	}
	if len(left) == 0 || float64(len(left)) < least*float64(len(takers)) {
		return takers
	}
	for _, id := range takers {
		if r := reason(id); r != "" {
			why[id] = r
		}
	}
	return left
}

// turns are the backends that a rolling release changes now, and those that it has yet to change, which step back behind
// those that are up to date.
func (c *Controller) turns(service uint16) (turn map[uint16]bool, behind map[uint16]string) {
	turn, behind = map[uint16]bool{}, map[uint16]string{}
	for _, r := range c.state.Services[c.image.Services[service].Name].Releases {
		now, later := r.Resting(), r.Behind()
		if len(now)+len(later) == 0 {
			continue
		}
		for _, id := range c.image.BackendsOf(c.generationNumbered(service, r.To.Number)) {
			switch name := backendName(c.image.Backends[id]); {
			case slices.Contains(now, name):
				turn[id] = true
			case slices.Contains(later, name):
				behind[id] = "others are up to date"
			}
		}
	}
	return turn, behind
}

// backendName tells a backend from all others of its generation.
func backendName(b image.Backend) string {
	if b.Port == 0 {
		return addresses(b)
	}
	return addresses(b) + " port " + portName(b.Port)
}

// restingFacts is what the engine has to know of a release that changes the backends of the live generation.
func (c *Controller) restingFacts(service uint16, r release.Record) (out release.Resting) {
	if r.Plan.Strategy.Flips() {
		return out
	}
	g := c.generationNumbered(service, r.To.Number)
	out.Closed = c.isClosedFor(service, r)
	out.Counted = c.complete > c.rests.since[service] && c.last.Missed == 0
	why := c.whoRests(service)
	resting := map[string]bool{}
	for _, name := range r.Resting() { // one that somebody took out of the pool meanwhile rests for good
		resting[name] = true
	}
	for _, id := range c.image.BackendsOf(g) {
		b := c.image.Backends[id]
		name := backendName(b)
		if b.Use == kernel.InPool {
			delete(resting, name)
		}
		// One that rests without a reason was a release's, and is to be opened again.
		if b.Use == kernel.Resting && (why[id] == ofATurn || why[id] == "") {
			resting[name] = true
		}
		if r.Plan.Strategy == release.InPlace || slices.Contains(r.InTurn(), name) {
			out.Left += max(c.last.Sessions[id].Total(), uint64(c.last.Flows[id]))
		}
	}
	for _, name := range r.Backends {
		if resting[name] {
			out.Backends = append(out.Backends, name)
		}
	}
	return out
}

package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// mayFlip refuses a flip, with figures, to a generation that could not take the sessions that will come, or into a table
// that has no room for their pins. A rollback is not asked: it is the way out.
func (c *Controller) mayFlip(service, to uint16) error {
	if err := c.usable(service, to); err != nil {
		return err
	}
	live := c.image.Services[service].Steer.Live
	for _, check := range append(c.tableChecks(service), c.capacityCheck(service, live, to)) {
		if !check.OK {
			return api.Errorf(api.Refused, "service %s: %s: %s; see ebbtide verify, or give --force", c.image.Services[service].Name, check.Name, check.Detail)
		}
	}
	return nil
}

// capacityCheck compares what a generation has with what is live. A weight is no number of sessions, so that decides
// nothing but that there is any. What its backends tell, and what the file says that they hold, decides; what nobody knows
// is said.
func (c *Controller) capacityCheck(service, from, to uint16) release.Check {
	number := c.image.Generations[to].Number
	weight, old := c.usableWeight(service, to), c.usableWeight(service, from)
	check := release.Check{Name: "capacity", OK: weight > 0}
	said := []string{fmt.Sprintf("the usable weight of generation %d is %d, that of generation %d, with %d sessions now, is %d",
		number, weight, c.image.Generations[from].Number, c.sessions(from).Total, old)}
	judged := false
	for _, k := range []capacity{c.playersCapacity(from, to), c.sessionsCapacity(from, to)} {
		if k.known {
			judged = true
			check.OK = check.OK && k.room >= k.come
			said = append(said, fmt.Sprintf("generation %d has room for %d %s, and %d will come", number, k.room, k.of, k.come))
		}
	}
	if !judged {
		said = append(said, fmt.Sprintf("how many sessions generation %d holds is not known: give its backends a capacity, or the service its occupancy", number))
	}
	check.Detail = strings.Join(said, "; ")
	return check
}

func (c *Controller) usableWeight(service, g uint16) (sum uint64) {
	families := c.image.Families(service)
	for _, f := range kernel.Families() {
		if _, _, w := c.usableBackends(g, f); families[f] {
			sum += w
		}
	}
	return sum
}

// capacity is how many more of something a generation takes, and how many there are on what is live: all of them come
// there sooner or later.
type capacity struct {
	of         string
	room, come uint64
	known      bool // of every backend of both
}

// playersCapacity is by what the backends tell.
func (c *Controller) playersCapacity(from, to uint16) capacity {
	k := capacity{of: "more players by what its backends tell", known: true}
	for _, id := range c.inPool(to) {
		is := c.occupied[id]
		if k.known = k.known && is.has && is.Free != nil; k.known && c.takesNew(id) {
			k.room += *is.Free
		}
	}
	for _, id := range c.inPool(from) {
		is := c.occupied[id]
		k.known = k.known && is.has
		k.come += is.Players
	}
	return k
}

// sessionsCapacity is by what the file says of each backend, less what it has.
func (c *Controller) sessionsCapacity(from, to uint16) capacity {
	k := capacity{of: "more sessions by the capacity of its backends", known: true}
	for _, id := range c.inPool(to) {
		most := c.capacityOf(id)
		if k.known = k.known && most > 0; c.takesNew(id) {
			k.room += most - min(most, playing(c.last.Sessions[id]))
		}
	}
	for _, id := range c.image.BackendsOf(from) {
		k.come += playing(c.last.Sessions[id])
	}
	return k
}

func playing(n kernel.States) uint64 {
	return uint64(n[kernel.HalfOpen]) + uint64(n[kernel.Young]) + uint64(n[kernel.Established])
}

// inPool are the backends of a generation that are in the file.
func (c *Controller) inPool(g uint16) []uint16 {
	return slices.DeleteFunc(c.image.BackendsOf(g), func(id uint16) bool { return c.image.Backends[id].Use == kernel.Removed })
}

func (c *Controller) takesNew(id uint16) bool {
	b := c.image.Backends[id]
	return b.Use == kernel.InPool && b.Weight > 0
}

// capacityOf is how many sessions a backend holds by the file; 0: it does not say.
func (c *Controller) capacityOf(id uint16) uint64 {
	b := c.image.Backends[id]
	if c.cfg == nil {
		return 0
	}
	s, _ := c.cfg.Service(c.image.Services[b.Service].Name)
	for _, pool := range s.Pools {
		if pool.Version != c.image.Generations[b.Generation].Version {
			continue
		}
		for _, is := range pool.Backends {
			if sameBackend(is, b) {
				return uint64(is.Capacity)
			}
		}
	}
	return 0
}

func sameBackend(is config.Backend, b image.Backend) bool {
	return is.Port == b.Port && slices.ContainsFunc(b.Addrs[:], func(a netip.Addr) bool { return slices.Contains(is.Addresses, a) })
}

// fullTable is the part of a table, in percent, from which on it may happen that a flow finds no slot.
const fullTable = 90

// tableChecks look whether the flow tables have room: a packet that can't be pinned is dropped while a generation drains.
// Established flows are what counts: all others make room for a new one.
func (c *Controller) tableChecks(service uint16) (checks []release.Check) {
	families := c.image.Families(service)
	lasting := c.lastingFlows()
	for i, t := range c.tables() {
		if !families[kernel.Families()[i]] {
			continue
		}
		most, lasting := uint64(c.plane.MaxFlows()), min(lasting, t.Used)
		checks = append(checks, release.Check{
			Name: "table " + t.Family, OK: lasting*100 < most*fullTable,
			Detail: fmt.Sprintf("%d of max_flows %d are used, %d of them by flows that nothing replaces; %d%% of these would be too many", t.Used, most, lasting, fullTable),
		})
	}
	return checks
}

// lastingFlows are those that make room for no other, of both families: which table they are in is not counted. Of clients'
// sessions that is any flow.
func (c *Controller) lastingFlows() (n uint64) {
	for id, states := range c.last.Sessions {
		if c.image.Services[c.image.Backends[id].Service].Affinity == kernel.AffinityFlow {
			n += uint64(states[kernel.Established]) + uint64(states[kernel.Evicting])
		} else {
			n += uint64(c.last.Flows[id])
		}
	}
	return n
}

package control

import (
	"cmp"
	"context"
	"fmt"
	stdmaps "maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/loader/vip"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Status is what the daemon knows.
func (c *Controller) Status(context.Context) (api.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := api.Status{
		Version: c.opt.Version, Revision: c.state.Revision, Build: c.plane.Build(), StartedAt: c.started,
		ConfigFile: c.opt.ConfigFile, MaxFlows: c.plane.MaxFlows(), LastSweep: c.last.at,
		SweepSeconds: c.last.took.Seconds(), Upgrade: c.plane.Importing(),
	}
	var err error
	if s.Interfaces, err = c.interfaces(); err != nil {
		return s, err
	}
	if s.VIPs, err = c.vipHolders(); err != nil {
		return s, err
	}
	s.Schedule = c.scheduled("")
	s.Tables = c.tables()
	if s.Reasons, err = c.plane.Tables.Reasons(); err != nil {
		return s, err
	}
	stdmaps.DeleteFunc(s.Reasons, func(name string, n uint64) bool { return n == 0 || strings.HasPrefix(name, "pass_") })
	problems, err := c.bypassed()
	if err != nil {
		return s, err
	}
	counts, err := c.plane.Tables.Counts()
	if err != nil {
		return s, err
	}
	listeners, testers := c.listeners(), c.image.TesterCounts()
	for _, index := range c.serviceIndexes() {
		svc := c.serviceStatus(index, counts)
		svc.Problem, svc.Listeners = problems[index], listeners[index]
		if svc.Canary, err = c.canary(index, testers[index]); err != nil {
			return s, err
		}
		s.Services = append(s.Services, svc)
	}
	return s, nil
}

func (c *Controller) serviceIndexes() []uint16 {
	var out []uint16
	for index := range c.image.Services {
		out = append(out, index)
	}
	slices.SortFunc(out, func(a, b uint16) int {
		if c.image.Services[a].Name < c.image.Services[b].Name {
			return -1
		}
		return 1
	})
	return out
}

func (c *Controller) vipHolders() ([]api.VIP, error) {
	addrs := map[netip.Addr]bool{}
	for socket := range c.image.Listeners {
		addrs[socket.Addr] = true
	}
	var list []netip.Addr
	for a := range addrs {
		list = append(list, a)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	holders, err := vip.Holders(list)
	if err != nil {
		return nil, err
	}
	var out []api.VIP
	for _, a := range list {
		out = append(out, api.VIP{Address: a.String(), Interface: holders[a]})
	}
	return out, nil
}

func (c *Controller) tables() []api.Table {
	var out []api.Table
	for _, f := range kernel.Families() {
		t := c.last.Tables[f]
		out = append(out, api.Table{
			Family: familyName(f), Slots: uint64(c.plane.Tables.SlotCount(f)), Used: t.Used, Overflow: t.Stash,
		})
	}
	return out
}

func (c *Controller) serviceStatus(index uint16, counts kernel.Counts) api.Service {
	s := c.image.Services[index]
	out := api.Service{Name: s.Name, Forwarding: forwardingName(s.Forwarding), Group: c.state.Services[s.Name].Group, Lock: c.lockOf(s.Name), Closed: string(closedOf(s))}
	out.Freeze, out.NextFreeze = c.freezeOf(s.Name)
	if s.Steer.Live != 0 {
		out.Live = c.ref(s.Steer.Live)
	}
	for _, r := range c.state.Services[s.Name].Releases {
		if shown := c.shownRelease(s.Name, r.Number); !shown.Over {
			out.Releases = append(out.Releases, shown)
		}
	}
	for _, g := range c.image.GenerationsOf(index) {
		out.Generations = append(out.Generations, c.generation(g, counts))
	}
	return out
}

// listeners of each service. They join the ports of one listener again: entries of the same id are a range.
func (c *Controller) listeners() map[uint16][]api.Listener {
	type span struct {
		service uint16
		socket  kernel.Socket
		last    uint16
	}
	spans := map[uint16]span{}
	for socket, l := range c.image.Listeners {
		if l.Kind == kernel.Mark {
			continue
		}
		have, there := spans[l.ID]
		if !there {
			have = span{l.Service, socket, socket.Port}
		}
		have.socket.Port, have.last = min(have.socket.Port, socket.Port), max(have.last, socket.Port)
		spans[l.ID] = have
	}
	out := map[uint16][]api.Listener{}
	for id, s := range spans {
		ports := portName(s.socket.Port)
		if s.last != s.socket.Port {
			ports += fmt.Sprintf("-%d", s.last)
		}
		out[s.service] = append(out[s.service], api.Listener{
			VIP: s.socket.Addr.String(), Protocol: protocolName(s.socket.Protocol), Ports: ports, Sessions: c.last.Listeners[id],
		})
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b api.Listener) int {
			return cmp.Or(strings.Compare(a.VIP, b.VIP), strings.Compare(a.Protocol, b.Protocol), strings.Compare(a.Ports, b.Ports))
		})
	}
	return out
}

// portName is a port as the file writes it.
func portName(port uint16) string {
	if port == 0 {
		return "all"
	}
	return fmt.Sprint(port)
}

func (c *Controller) generation(g uint16, counts kernel.Counts) api.Generation {
	out := c.counts(g, counts)
	out.Sessions = c.sessions(g)
	for _, id := range c.image.BackendsOf(g) {
		out.Backends = append(out.Backends, c.backend(id, counts))
	}
	return out
}

// counts is a generation without what the last sweep found of it.
func (c *Controller) counts(g uint16, counts kernel.Counts) api.Generation {
	rec := c.image.Generations[g]
	n, sent := counts.Generation(g)
	out := api.Generation{
		GenerationRef: c.ref(g), State: stateName(rec.State), Roles: c.rolesOf(g), Since: rec.Since,
		New: n.New, Orphans: n.Orphans, Reopened: n.Reopened, Rejoined: n.Rejoined, Moved: n.Moved,
		Unpinned: n.Unpinned, Packets: sent.Packets, Bytes: sent.Bytes,
	}
	out.NewSinceFlip, out.ReopenedSinceFlip = sinceFlip(rec, n)
	if d := c.drains[g]; d != nil && d.reason != "" && rec.State == kernel.Draining {
		out.State, out.Reason = api.StateInconclusive, d.reason
	}
	return out
}

// sinceFlip is what a generation counted since the flip away from it; nothing while it is live or was never.
func sinceFlip(rec kernel.Generation, n kernel.Counters) (fresh, reopened uint64) {
	if rec.State != kernel.Draining && rec.State != kernel.Drained || rec.NewAtFlip == image.UnknownCount {
		return 0, 0
	}
	return n.New - rec.NewAtFlip, n.Reopened - rec.ReopenedAtFlip
}

func (c *Controller) backend(id uint16, counts kernel.Counts) api.Backend {
	b := c.image.Backends[id]
	out := api.Backend{
		ID: id, Port: b.Port, Weight: uint32(b.Weight), State: api.BackendInUse, Sessions: c.last.Sessions[id].Total(),
	}
	noteSent(&out, counts)
	out.Health = c.shownHealth(id)
	if b.Use == kernel.Removed {
		out.State = api.BackendRemoved
	} else if b.Lost != ([2]bool{}) {
		out.State = api.BackendLost
	} else if b.Weight == 0 {
		out.State = api.BackendDraining
	} else if b.Use == kernel.Resting {
		out.State = api.BackendResting
	}
	out.Occupancy = c.shownOccupancy(id)
	for _, f := range kernel.Families() {
		addr := b.Addrs[f]
		if !addr.IsValid() || f == kernel.IPv6 && addr == b.Addrs[kernel.IPv4] {
			continue // ipip carries both families to one address
		}
		hop := c.hops.get(addr)
		out.Addresses = append(out.Addresses, addr.String())
		out.NextHops = append(out.NextHops, api.NextHop{
			Family: familyName(familyOf(addr)), Interface: hop.IfName, MAC: net.HardwareAddr(hop.DstMAC[:]).String(),
			State: hop.State.String(), Reason: hop.Reason,
		})
	}
	return out
}

func noteSent(b *api.Backend, counts kernel.Counts) {
	sent, counted := counts.Backend(b.ID)
	b.Counted, b.Packets, b.Bytes = counted, sent.Packets, sent.Bytes
}

// sessions of a generation, by the newest sweep.
func (c *Controller) sessions(g uint16) api.Sessions {
	var s api.Sessions
	for _, id := range c.image.BackendsOf(g) {
		addSessions(&s, c.last.Sessions[id])
		s.Flows += uint64(c.last.Flows[id])
	}
	return c.ofClients(g, s)
}

// ofClients says the same where sessions are of clients: one that is closing has no flow left, and lingers. Where each flow
// is a session, the number of flows tells nothing more.
func (c *Controller) ofClients(g uint16, s api.Sessions) api.Sessions {
	if c.image.Services[c.image.Generations[g].Service].Affinity != kernel.AffinityFlow {
		s.Lingering, s.Closing = s.Closing, 0
	} else if s.Flows <= s.Total {
		s.Flows = 0
	}
	return s
}

func addSessions(s *api.Sessions, n kernel.States) {
	s.HalfOpen += uint64(n[kernel.HalfOpen])
	s.Young += uint64(n[kernel.Young])
	s.Established += uint64(n[kernel.Established])
	s.Closing += uint64(n[kernel.Closing])
	s.Evicting += uint64(n[kernel.Evicting])
	s.Total += n.Total()
}

func stateName(s kernel.GenerationState) string {
	switch s {
	case kernel.Candidate:
		return api.StateCandidate
	case kernel.Live:
		return api.StateLive
	case kernel.Draining:
		return api.StateDraining
	}
	return api.StateDrained
}

func familyName(f kernel.Family) string {
	if f == kernel.IPv4 {
		return "ipv4"
	}
	return "ipv6"
}

func familyOf(a netip.Addr) kernel.Family {
	if a.Is4() {
		return kernel.IPv4
	}
	return kernel.IPv6
}

func forwardingName(f kernel.Forwarding) string {
	switch f {
	case kernel.NAT:
		return "nat"
	case kernel.IPIP:
		return "ipip"
	}
	return "dsr"
}

func protocolName(p kernel.Protocol) string {
	if p == kernel.ProtocolTCP {
		return "tcp"
	}
	return "udp"
}

// Reasons counts packets that were not plainly forwarded, by reason.
func (c *Controller) Reasons() (map[string]uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plane.Tables.Reasons()
}

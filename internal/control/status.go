package control

import (
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
	s.Tables = c.tables()
	if s.Reasons, err = c.plane.Tables.Reasons(); err != nil {
		return s, err
	}
	stdmaps.DeleteFunc(s.Reasons, func(name string, n uint64) bool { return n == 0 || strings.HasPrefix(name, "pass_") })
	problems, err := c.bypassed()
	if err != nil {
		return s, err
	}
	for _, index := range c.serviceIndexes() {
		svc, err := c.serviceStatus(index)
		if err != nil {
			return s, err
		}
		svc.Problem = problems[index]
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

func (c *Controller) serviceStatus(index uint16) (api.Service, error) {
	s := c.image.Services[index]
	out := api.Service{Name: s.Name, Forwarding: forwardingName(s.Forwarding), Listeners: c.listeners(index)}
	if s.Steer.Live != 0 {
		out.Live = c.ref(s.Steer.Live)
	}
	for _, g := range c.image.GenerationsOf(index) {
		gen, err := c.generation(g)
		if err != nil {
			return out, err
		}
		out.Generations = append(out.Generations, gen)
	}
	return out, nil
}

// listeners joins the ports of one listener again: entries of the same id are a range.
func (c *Controller) listeners(service uint16) []api.Listener {
	type span struct {
		socket kernel.Socket
		last   uint16
	}
	spans := map[uint16]span{}
	for socket, l := range c.image.Listeners {
		if l.Service != service || l.Kind == kernel.Mark {
			continue
		}
		have, there := spans[l.ID]
		if !there {
			have = span{socket, socket.Port}
		}
		have.socket.Port, have.last = min(have.socket.Port, socket.Port), max(have.last, socket.Port)
		spans[l.ID] = have
	}
	var out []api.Listener
	for id, s := range spans {
		ports := fmt.Sprint(s.socket.Port)
		if s.last != s.socket.Port {
			ports += fmt.Sprintf("-%d", s.last)
		}
		out = append(out, api.Listener{
			VIP: s.socket.Addr.String(), Protocol: protocolName(s.socket.Protocol), Ports: ports, Sessions: c.last.Listeners[id],
		})
	}
	slices.SortFunc(out, func(a, b api.Listener) int {
		return slices.Compare([]string{a.VIP, a.Protocol, a.Ports}, []string{b.VIP, b.Protocol, b.Ports})
	})
	return out
}

func (c *Controller) generation(g uint16) (api.Generation, error) {
	rec := c.image.Generations[g]
	n, err := c.plane.Tables.Counters(g)
	if err != nil {
		return api.Generation{}, err
	}
	out := api.Generation{
		GenerationRef: c.ref(g), State: stateName(rec.State), Since: rec.Since, Sessions: c.sessions(g),
		New: n.New, Orphans: n.Orphans, Reopened: n.Reopened, Unpinned: n.Unpinned, Packets: n.Packets, Bytes: n.Bytes,
	}
	out.NewSinceFlip, out.ReopenedSinceFlip = sinceFlip(rec, n)
	if d := c.drains[g]; d != nil && d.reason != "" && rec.State == kernel.Draining {
		out.State, out.Reason = api.StateInconclusive, d.reason
	}
	for _, id := range c.image.BackendsOf(g) {
		out.Backends = append(out.Backends, c.backend(id))
	}
	return out, nil
}

// sinceFlip is what a generation counted since the flip away from it; nothing while it is live or was never.
func sinceFlip(rec kernel.Generation, n kernel.Counters) (fresh, reopened uint64) {
	if rec.State != kernel.Draining && rec.State != kernel.Drained || rec.NewAtFlip == image.UnknownCount {
		return 0, 0
	}
	return n.New - rec.NewAtFlip, n.Reopened - rec.ReopenedAtFlip
}

func (c *Controller) backend(id uint16) api.Backend {
	b := c.image.Backends[id]
	out := api.Backend{
		ID: id, Port: b.Port, Weight: uint32(b.Weight), State: api.BackendInUse, Sessions: c.last.Sessions[id].Total(),
	}
	if b.Use == kernel.Removed {
		out.State = api.BackendRemoved
	} else if b.Weight == 0 {
		out.State = api.BackendDraining
	}
	for _, f := range kernel.Families() {
		addr := b.Addrs[f]
		if !addr.IsValid() {
			continue
		}
		hop := c.hops.get(addr)
		out.Addresses = append(out.Addresses, addr.String())
		out.NextHops = append(out.NextHops, api.NextHop{
			Family: familyName(f), Interface: hop.IfName, MAC: net.HardwareAddr(hop.DstMAC[:]).String(),
			State: hop.State.String(), Reason: hop.Reason,
		})
	}
	return out
}

// sessions of a generation, by the newest sweep.
func (c *Controller) sessions(g uint16) api.Sessions {
	var s api.Sessions
	for _, id := range c.image.BackendsOf(g) {
		n := c.last.Sessions[id]
		s.HalfOpen += uint64(n[kernel.HalfOpen])
		s.Young += uint64(n[kernel.Young])
		s.Established += uint64(n[kernel.Established])
		s.Closing += uint64(n[kernel.Closing])
		s.Total += n.Total()
	}
	return s
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

func forwardingName(f kernel.Forwarding) string {
	if f == kernel.NAT {
		return "nat"
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

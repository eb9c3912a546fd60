package control

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// bypass is what was found at a sweep of nat clients on the backends' own link: replies to them go past this host.
type bypass struct {
	at    time.Time
	found map[uint16]string // by service index, in words
}

// bypassed looks once a sweep, and only while a nat backend has flows that it may not have answered. The lock is held, so
// the tables stay.
func (c *Controller) bypassed() (map[uint16]string, error) {
	if c.bypass.found != nil && c.bypass.at.Equal(c.last.at) {
		return c.bypass.found, nil
	}
	now, err := c.plane.Now()
	if err != nil {
		return nil, err
	}
	c.bypass = bypass{c.last.at, map[uint16]string{}}
	for _, f := range kernel.Families() {
		if near := c.unanswering(f); len(near) > 0 {
			c.findBypassed(f, near, now)
		}
	}
	return c.bypass.found, nil
}

// unanswering are the nat backends on a link of this host with flows that they may not have answered, and what else is on
// that link.
func (c *Controller) unanswering(f kernel.Family) map[uint16][]netip.Prefix {
	out := map[uint16][]netip.Prefix{}
	for id, b := range c.image.Backends {
		n := c.last.Sessions[id]
		if b.Forwarding != kernel.NAT || n[kernel.HalfOpen]+n[kernel.Young] == 0 || !b.Addrs[f].IsValid() {
			continue
		}
		if hop := c.hops.get(b.Addrs[f]); hop.IfIndex != 0 && !hop.Gateway.IsValid() {
			out[id] = onLink(hop.IfIndex)
		}
	}
	return out
}

// findBypassed walks the flows of a family for clients on the link of their backend. What a nat backend has answered
// through this host is established, and one second is time to answer.
func (c *Controller) findBypassed(f kernel.Family, near map[uint16][]netip.Prefix, now uint32) {
	wanted := kernel.Wanted{Meta: func(m kernel.Meta) bool {
		return (m.State() == kernel.HalfOpen || m.State() == kernel.Young) && near[m.Backend()] != nil
	}}
	tables := c.plane.Tables
	tables.Scan(f, 0, tables.SlotCount(f), wanted, func(flow kernel.Flow) bool {
		b := c.image.Backends[flow.Backend]
		client := flow.Client.Addr()
		on := func(p netip.Prefix) bool { return p.Contains(client) }
		if silence(now, flow.Start) >= 2 && slices.ContainsFunc(near[flow.Backend], on) {
			c.bypass.found[b.Service] = fmt.Sprintf("client %s is on the link of backend %s, which has not answered through this host: in nat, replies on their own link bypass it, and such clients are not supported", client, b.Addrs[f])
		}
		return true
	})
}

// onLink are the prefixes of the addresses of an interface; none of one that is gone.
func onLink(index int) []netip.Prefix {
	iface, err := net.InterfaceByIndex(index)
	if err != nil {
		return nil
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

package nexthop

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// take brings the tables up to date with an event and marks what it touches.
// Its error is that of reading everything again.
func (w *Watcher) take(ev event) error {
	if ev.lost {
		w.opts.Logger.Warn("kernel events lost, reading everything again")
		w.resyncs.Add(1)
		return w.resync()
	}
	for _, m := range ev.msgs {
		if err := w.takeMessage(m); err != nil {
			w.opts.Logger.Warn("kernel event not understood", "type", m.Header.Type, "err", err)
			w.rerouteAll()
		}
	}
	return nil
}

func (w *Watcher) takeMessage(m syscall.NetlinkMessage) error {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return w.takeLink(m)
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		return w.takeNeighbour(m)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return w.takeRoute(m)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_NEWRULE, unix.RTM_DELRULE,
		unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		w.rerouteAll()
	}
	return nil
}

// takeLink has everything routed again: IPv4 removes and disables routes with
// their interface and says nothing about it.
func (w *Watcher) takeLink(m syscall.NetlinkMessage) error {
	// A bridge reports its ports with the same types: a DELLINK of that
	// family is a port that left, not an interface that went.
	if m.Data[0] == unix.AF_BRIDGE {
		return nil
	}
	l, err := netlink.LinkDeserialize(nil, m.Data)
	if err != nil {
		return err
	}
	index, now := l.Attrs().Index, linkOf(l)
	if m.Header.Type == unix.RTM_DELLINK {
		now = link{}
	} else if now.name == "" { // a wireless event, which says nothing else
		return nil
	}
	if now == w.links[index] {
		return nil
	}
	w.links[index] = now
	if now.name == "" {
		delete(w.links, index)
	}
	w.rerouteAll()
	return nil
}

func (w *Watcher) takeNeighbour(m syscall.NetlinkMessage) error {
	neigh, err := netlink.NeighDeserialize(m.Data)
	if err != nil {
		return err
	}
	id, e, ok := entryOf(neigh)
	if !ok {
		return nil
	}
	w.table[id] = e
	if m.Header.Type == unix.RTM_DELNEIGH {
		delete(w.table, id)
	}
	if n := w.neighbours[id]; n != nil {
		w.observe(id, n, time.Now())
	}
	return nil
}

// takeRoute marks the targets under the route's prefix, so that a routing
// daemon's churn elsewhere costs no look-up.
func (w *Watcher) takeRoute(m syscall.NetlinkMessage) error {
	prefix, err := routePrefix(m.Data)
	if err != nil {
		return err
	}
	if prefix.IsSingleIP() {
		if _, ok := w.targets[prefix.Addr()]; ok {
			w.unrouted[prefix.Addr()] = struct{}{}
		}
		return nil
	}
	for addr := range w.targets {
		if prefix.Contains(addr) {
			w.unrouted[addr] = struct{}{}
		}
	}
	return nil
}

// routePrefix returns the destination of a route message, the zero Prefix
// (which contains nothing) for families other than IPv4 and IPv6.
func routePrefix(data []byte) (netip.Prefix, error) {
	msg := nl.DeserializeRtMsg(data)
	attrs, err := nl.ParseRouteAttr(data[msg.Len():])
	if err != nil {
		return netip.Prefix{}, err
	}
	var addr netip.Addr
	switch msg.Family {
	case unix.AF_INET:
		addr = netip.IPv4Unspecified()
	case unix.AF_INET6:
		addr = netip.IPv6Unspecified()
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.RTA_DST && addr.IsValid() {
			addr, _ = netip.AddrFromSlice(a.Value)
		}
	}
	return netip.PrefixFrom(addr, int(msg.Dst_len)), nil
}

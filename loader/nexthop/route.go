package nexthop

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// path is what the routes say of an address: Resolved when they lead to an
// interface that may be used, whatever state that is in.
type path struct {
	state   State
	reason  string
	link    int
	gateway netip.Addr
	mtu     int // 0: the interface's
}

// way is one next hop of a route.
type way struct {
	link    int
	gateway netip.Addr
	dead    bool
}

// reroute looks up the path to addr.
func (w *Watcher) reroute(addr netip.Addr, mode Mode) path {
	// The kernel would pick some interface for it.
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		return path{state: Failed, reason: "a link-local address does not say on which link"}
	}
	route, err := w.kernel.route(addr)
	if err != nil {
		return noRoute(err)
	}
	if reason := refused(route); reason != "" {
		return path{state: Failed, reason: reason}
	}
	best := choose(ways(route), func(v way) bool {
		_, _, ok := w.below(v.link)
		return ok && !v.dead && w.links[v.link].down() == ""
	})
	p := path{state: Resolved, link: best.link, gateway: best.gateway, mtu: route.MTU}
	if reason := w.forbidden(p, mode); reason != "" {
		p.state, p.reason = Failed, reason
	}
	return p
}

// noRoute reads the error that stands for a route that leads nowhere.
func noRoute(err error) path {
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return path{reason: "no route"}
	case errors.Is(err, unix.EINVAL):
		return path{state: Failed, reason: "a blackhole route"}
	case errors.Is(err, unix.EHOSTUNREACH):
		return path{state: Failed, reason: "an unreachable route"}
	case errors.Is(err, unix.EACCES):
		return path{state: Failed, reason: "a prohibit route"}
	}
	return path{reason: fmt.Sprintf("look up route: %v", err)}
}

// refused says why no packet can follow the route, or "".
func refused(r *netlink.Route) string {
	switch {
	case r.Type == unix.RTN_LOCAL:
		return "an address of this host"
	case r.Type != unix.RTN_UNICAST:
		return fmt.Sprintf("not a unicast route (type %d)", r.Type)
	case r.Encap != nil:
		return "a route that encapsulates"
	}
	return ""
}

// forbidden says why this path may not be used in this mode, or "".
func (w *Watcher) forbidden(p path, mode Mode) string {
	l := w.links[p.link]
	_, _, exit := w.below(p.link)
	switch {
	case mode == OnLink && p.gateway.IsValid():
		return fmt.Sprintf("behind gateway %s: dsr needs the backend on the link, the frame would loop", p.gateway)
	case l.name == "": // about to be told: a link event follows
		return ""
	case !exit:
		return fmt.Sprintf("the route leaves by %s, which is not one of the configured interfaces%s", l.name, l.norVLAN())
	case !l.ethernet:
		return fmt.Sprintf("the route leaves by %s, which is not Ethernet", l.name)
	}
	return ""
}

func ways(r *netlink.Route) []way {
	if len(r.MultiPath) == 0 {
		return []way{{link: r.LinkIndex, gateway: gateway(r.Gw, r.Via)}}
	}
	out := make([]way, 0, len(r.MultiPath))
	for _, n := range r.MultiPath {
		out = append(out, way{
			link:    n.LinkIndex,
			gateway: gateway(n.Gw, n.Via),
			dead:    n.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0,
		})
	}
	return out
}

// gateway also knows an IPv6 gateway of an IPv4 route (RFC 5549).
func gateway(gw net.IP, via netlink.Destination) netip.Addr {
	if v, ok := via.(*netlink.Via); ok && v != nil {
		gw = v.Addr
	}
	addr, _ := netip.AddrFromSlice(gw)
	return addr.Unmap()
}

// choose takes the usable way with the lowest gateway, then the lowest
// interface index; without a usable one, the first in that order. Weights are
// not looked at: one backend has one next hop, the same after a restart.
func choose(ways []way, usable func(way) bool) way {
	slices.SortFunc(ways, func(a, b way) int {
		return cmp.Or(a.gateway.Compare(b.gateway), cmp.Compare(a.link, b.link))
	})
	if i := slices.IndexFunc(ways, usable); i >= 0 {
		return ways[i]
	}
	return ways[0]
}

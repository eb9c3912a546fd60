package nexthop

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestARouteThatMovesToAnotherInterfaceIsFollowed(t *testing.T) {
	lb, first, second := mustSpace(t), mustSpace(t), mustSpace(t)
	mustWire(t, lb, first, "eth0")
	mustWire(t, lb, second, "eth1")
	lb.addr(t, "eth0", "198.51.100.1/24")
	first.addr(t, "eth0", "192.0.2.11/24", "2001:db8::11/64")
	second.addr(t, "eth1", "192.0.2.11/24", "2001:db8::11/64")
	// The backends' answers go to the balancer's address.
	first.route(t, "198.51.100.0/24", "eth0", "")
	second.route(t, "198.51.100.0/24", "eth1", "")
	w := lb.watch(t, Options{})
	w.Set(onLink(families...), "eth0", "eth1")
	for _, addr := range families {
		w.awaitReason(t, addr, Unresolved, "no route")
	}
	for _, row := range []struct {
		name string
		to   space
	}{{"eth0", first}, {"eth1", second}, {"eth0", first}} {
		lb.route(t, "192.0.2.11/32", row.name, "")
		lb.route(t, "2001:db8::11/128", row.name, "")
		if row.name == "eth1" { // IPv6 has it by both: the metric is the same
			lb.dropRoute(t, "2001:db8::11/128", "eth0")
		} else {
			lb.dropRoute(t, "2001:db8::11/128", "eth1")
		}
		for _, addr := range families {
			if h := w.awaitMAC(t, addr, row.to.mac(t, row.name)); h.IfName != row.name {
				t.Errorf("%s leaves by %s", addr, h.IfName)
			}
		}
	}
}

// dropRoute removes a route if it is there.
func (s space) dropRoute(t *testing.T, dst, name string) {
	t.Helper()
	_, prefix, err := net.ParseCIDR(dst)
	must(t, err)
	err = s.RouteDel(&netlink.Route{Dst: prefix, LinkIndex: s.link(t, name).Attrs().Index})
	if !errors.Is(err, unix.ESRCH) {
		must(t, err)
	}
}

func TestAGatewayServesNATAndIsRefusedForDSR(t *testing.T) {
	lb, router := mustPair(t)
	link6, err := router.AddrList(router.link(t, "eth0"), unix.AF_INET6)
	must(t, err)
	var local string
	for _, a := range link6 {
		if a.IP.IsLinkLocalUnicast() {
			local = a.IP.String()
		}
	}
	lb.route(t, "198.51.100.0/24", "eth0", "192.0.2.11")
	lb.route(t, "2001:db8:1::/64", "eth0", local)
	far4, far6 := netip.MustParseAddr("198.51.100.11"), netip.MustParseAddr("2001:db8:1::11")
	w := lb.watch(t, Options{})
	w.Set(modes(Routed, far4, far6))
	for addr, gw := range map[netip.Addr]string{far4: "192.0.2.11", far6: local} {
		if h := w.awaitMAC(t, addr, router.mac(t, "eth0")); h.Gateway.String() != gw {
			t.Errorf("%s goes by %s, want %s", addr, h.Gateway, gw)
		}
	}
	w.Set(onLink(far4, far6))
	loop := ": dsr needs the backend on the link, the frame would loop"
	w.awaitReason(t, far4, Failed, "behind gateway 192.0.2.11"+loop)
	w.awaitReason(t, far6, Failed, "behind gateway "+local+loop)
}

func TestOneWayOfAMultipathRouteIsTaken(t *testing.T) {
	lb, router := mustPair(t)
	router.addr(t, "eth0", "192.0.2.12/24")
	_, prefix, err := net.ParseCIDR("198.51.100.0/24")
	must(t, err)
	index := lb.link(t, "eth0").Attrs().Index
	must(t, lb.RouteAdd(&netlink.Route{Dst: prefix, MultiPath: []*netlink.NexthopInfo{
		{LinkIndex: index, Gw: net.ParseIP("192.0.2.12")},
		{LinkIndex: index, Gw: net.ParseIP("192.0.2.11")},
	}}))
	far := netip.MustParseAddr("198.51.100.11")
	w := lb.watch(t, Options{})
	w.Set(modes(Routed, far))
	if h := w.awaitMAC(t, far, router.mac(t, "eth0")); h.Gateway != backend4 {
		t.Errorf("goes by %s", h.Gateway)
	}
}

func TestAnIPv6GatewayServesAnIPv4Backend(t *testing.T) {
	lb, router := mustPair(t)
	_, prefix, err := net.ParseCIDR("198.51.100.0/24")
	must(t, err)
	must(t, lb.RouteAdd(&netlink.Route{
		Dst: prefix, LinkIndex: lb.link(t, "eth0").Attrs().Index,
		Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: backend6.AsSlice()},
	}))
	far := netip.MustParseAddr("198.51.100.11")
	w := lb.watch(t, Options{})
	w.Set(modes(Routed, far))
	if h := w.awaitMAC(t, far, router.mac(t, "eth0")); h.Gateway != backend6 {
		t.Errorf("goes by %s", h.Gateway)
	}
}

func TestAWayThatCannotBeUsedFailsWithItsReason(t *testing.T) {
	lb, _ := mustPair(t)
	for dst, kind := range map[string]int{
		"198.51.100.1/32": unix.RTN_BLACKHOLE, "198.51.100.2/32": unix.RTN_UNREACHABLE,
		"198.51.100.3/32": unix.RTN_PROHIBIT, "2001:db8:1::1/128": unix.RTN_BLACKHOLE,
		"2001:db8:1::2/128": unix.RTN_UNREACHABLE, "2001:db8:1::3/128": unix.RTN_PROHIBIT,
	} {
		_, prefix, err := net.ParseCIDR(dst)
		must(t, err)
		must(t, lb.RouteAdd(&netlink.Route{Dst: prefix, Type: kind}))
	}
	w := lb.watch(t, Options{})
	foreign := "the route leaves by eth0, which is not one of the configured interfaces"
	for addr, reason := range map[string]string{
		"198.51.100.1": "a blackhole route", "2001:db8:1::1": "a blackhole route",
		"198.51.100.2": "an unreachable route", "2001:db8:1::2": "an unreachable route",
		"198.51.100.3": "a prohibit route", "2001:db8:1::3": "a prohibit route",
		"192.0.2.1": "an address of this host", "2001:db8::1": "an address of this host",
		"192.0.2.11": foreign, "2001:db8::11": foreign,
		"192.0.2.255": "not a unicast route (type 3)",
		"fe80::11":    "a link-local address does not say on which link",
	} {
		w.Set(onLink(netip.MustParseAddr(addr)), "bond0")
		w.awaitReason(t, netip.MustParseAddr(addr), Failed, reason)
	}
}

func TestTheInterfacesThatMayBeUsedAreThoseOfTheLastSet(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	foreign := "the route leaves by eth0, which is not one of the configured interfaces"
	for range 2 {
		w.Set(onLink(families...), "bond0")
		for _, addr := range families {
			w.awaitReason(t, addr, Failed, foreign)
		}
		w.Set(onLink(families...), "bond0", "eth0")
		for _, addr := range families {
			w.awaitMAC(t, addr, backend.mac(t, "eth0"))
		}
	}
}

func TestChooseTakesTheLowestUsableGateway(t *testing.T) {
	gw := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
	ways := []way{{link: 2, gateway: gw(9)}, {link: 3, gateway: gw(1)}, {link: 1, gateway: gw(5)}, {link: 0, gateway: gw(5)}}
	for name, row := range map[string]struct {
		usable func(way) bool
		want   way
	}{
		"all usable":        {func(way) bool { return true }, way{link: 3, gateway: gw(1)}},
		"the lowest is not": {func(v way) bool { return v.link != 3 }, way{link: 0, gateway: gw(5)}},
		"none is":           {func(way) bool { return false }, way{link: 3, gateway: gw(1)}},
	} {
		if got := choose(ways, row.usable); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

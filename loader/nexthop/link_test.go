package nexthop

import (
	"testing"

	"github.com/ebbtide/ebbtide/loader/vlan"
	"github.com/ebbtide/ebbtide/maps"
)

func TestALinkThatIsDownIsUnresolvedUntilItIsUp(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	w.Set(onLink(families...))
	eth0 := backend.link(t, "eth0")
	// IPv6 would take the backend's address away with the link.
	backend.sysctl(t, "ipv6/conf/eth0/keep_addr_on_down", "1")
	for _, addr := range families {
		w.awaitMAC(t, addr, backend.mac(t, "eth0"))
	}
	must(t, backend.LinkSetDown(eth0)) // its peer loses the carrier
	for _, addr := range families {
		w.awaitReason(t, addr, Unresolved, "interface eth0 has no carrier")
	}
	must(t, backend.LinkSetUp(eth0))
	for _, addr := range families {
		w.awaitMAC(t, addr, backend.mac(t, "eth0"))
	}
	must(t, lb.LinkSetDown(lb.link(t, "eth0")))
	w.awaitReason(t, backend4, Unresolved, "no route")
	must(t, lb.LinkSetUp(lb.link(t, "eth0")))
	w.awaitMAC(t, backend4, backend.mac(t, "eth0"))
}

// What leaves by a VLAN leaves by the interface below it, when that is one of those that may be used.
func TestTheWayOutOfAVLANIsBelowIt(t *testing.T) {
	inner, outer := maps.Tag{TPID: 0x8100, ID: 20}, maps.Tag{TPID: 0x88a8, ID: 100}
	links := map[int]link{
		2: {name: "eth0", ethernet: true}, 3: {name: "eth0.100", ethernet: true, vlan: vlan.Layer{On: 2, Tag: outer}},
		4: {name: "eth0.100.20", ethernet: true, vlan: vlan.Layer{On: 3, Tag: inner}}, 5: {name: "eth1", ethernet: true},
	}
	for _, row := range []struct {
		via    []string
		link   int
		below  int
		tags   maps.Tags
		reason string
	}{
		{nil, 2, 2, maps.Tags{}, ""},
		{nil, 4, 2, maps.Tags{outer, inner}, ""},
		{[]string{"eth0"}, 4, 2, maps.Tags{outer, inner}, ""},
		{[]string{"eth0"}, 3, 2, maps.Tags{outer}, ""},
		{[]string{"eth0.100"}, 4, 3, maps.Tags{inner}, ""},
		{[]string{"eth0"}, 5, 0, maps.Tags{}, "the route leaves by eth1, which is not one of the configured interfaces"},
		{[]string{"eth1"}, 4, 0, maps.Tags{}, "the route leaves by eth0.100.20, which is not one of the configured interfaces, nor a VLAN, or one in another, on one of them"},
	} {
		w := &Watcher{links: links, via: row.via}
		p := path{state: Resolved, link: row.link}
		if reason := w.forbidden(p, Routed); reason != row.reason {
			t.Errorf("%+v: refused: %q", row, reason)
		}
		if below, tags, ok := w.below(row.link); ok != (row.reason == "") || ok && (below != row.below || tags != row.tags) {
			t.Errorf("%+v: leaves by %d with %v", row, below, tags)
		}
		p.state = Failed // neighbours are another matter
		if h := w.hop(backend4, p); row.reason == "" && (h.IfIndex != row.link || h.Below != row.below || h.Tags != row.tags) {
			t.Errorf("%+v: hop %+v", row, h)
		}
	}
}

package nexthop

import (
	"testing"
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

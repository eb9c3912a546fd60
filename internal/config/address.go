package config

import (
	"net/netip"
	"strings"
)

// address reads a unicast address that may be a VIP or a backend. It stays on
// what every host understands alike: no zones, no mapped addresses.
func (v value) address() (netip.Addr, bool) {
	text, ok := v.text()
	if !ok {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil && strings.Contains(text, "/"):
		v.fail("%s is not an IP address: write it without a prefix length", quote(text))
		return netip.Addr{}, false
	case err != nil:
		v.fail("%s is not an IP address", quote(text))
		return netip.Addr{}, false
	}
	if reason := badAddress(addr); reason != "" {
		v.fail("%s %s", plain(addr.String()), reason)
		return netip.Addr{}, false
	}
	return addr, true
}

// badAddress says why addr can't be an endpoint of players' traffic.
func badAddress(addr netip.Addr) string {
	switch {
	case addr.Is4In6() && badAddress(addr.Unmap()) != "":
		return badAddress(addr.Unmap())
	case addr.Is4In6():
		return "is an IPv4 address mapped into IPv6: write " + addr.Unmap().String()
	case addr.IsLinkLocalUnicast():
		return "is link-local: it means another host on every link"
	case addr.Zone() != "":
		return "has a zone: it means nothing on another host"
	case addr.IsMulticast():
		return "is multicast"
	case addr.IsLoopback():
		return "is loopback: no packet for it comes from outside"
	case addr.IsUnspecified() || addr.Is4() && addr.As4()[0] == 0:
		return "is the unspecified address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is the broadcast address"
	}
	return ""
}

// family names the IP version of addr.
func family(addr netip.Addr) string {
	if addr.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

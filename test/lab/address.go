package lab

import "net/netip"

// segment is one dual-stack subnet.
type segment struct{ v4, v6 netip.Prefix }

// The subnets of a lab. They exist only inside its namespaces.
var (
	clientNet = segment{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:c::/64")}
	frontNet  = segment{netip.MustParsePrefix("10.76.0.0/24"), netip.MustParsePrefix("fd76::/64")}
	lanNet    = segment{netip.MustParsePrefix("10.77.0.0/24"), netip.MustParsePrefix("fd77::/64")}
)

// The host numbers in the subnets.
const (
	routerHost  = 1
	lbHost      = 2
	clientHost  = 10
	backendHost = 11 // and one more for each backend after the first
)

// VIP4 and VIP6 are the addresses that a lab's load balancer serves.
var (
	VIP4 = netip.MustParseAddr("203.0.113.10")
	VIP6 = netip.MustParseAddr("2001:db8::10")
)

// prefixes are the two addresses of host n, with the subnets' lengths.
func (s segment) prefixes(n int) []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(host(s.v4, n), s.v4.Bits()),
		netip.PrefixFrom(host(s.v6, n), s.v6.Bits()),
	}
}

// gateway is the address of host n in dst's family.
func (s segment) gateway(dst netip.Prefix, n int) netip.Addr {
	if dst.Addr().Is4() {
		return host(s.v4, n)
	}
	return host(s.v6, n)
}

// host is address n of a subnet; n fits a byte.
func host(p netip.Prefix, n int) netip.Addr {
	b := p.Addr().AsSlice()
	b[len(b)-1] = byte(n)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// single is the prefix that holds only a.
func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// defaults are the two default routes.
func defaults() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
}

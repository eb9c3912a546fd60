package config

import "net/netip"

// web reads where the web page is served: on loopback only, since whoever reads the connection has its token.
func (v value) web() (at netip.AddrPort) {
	fields, ok := v.mapping("listen")
	if !ok {
		return at
	}
	listen, ok := fields.need("listen")
	if !ok {
		return at
	}
	text, ok := listen.text()
	if !ok {
		return at
	}
	at, err := netip.ParseAddrPort(text)
	switch {
	case err != nil || at.Port() == 0:
		listen.fail("want an address and a port such as 127.0.0.1:8080, got %s", quote(text))
	case !at.Addr().IsLoopback() || at.Addr().Is4In6() || at.Addr().Zone() != "":
		listen.fail("%s is not a loopback address such as 127.0.0.1 or ::1: reach the page from elsewhere by an SSH tunnel", plain(at.Addr().String()))
	default:
		return at
	}
	return netip.AddrPort{}
}

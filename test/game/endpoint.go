package game

import (
	"context"
	"net"
	"net/netip"
)

// Endpoint is where a game is played: a network, tcp or udp, and an address.
type Endpoint struct {
	Network string
	Addr    netip.AddrPort
}

// TCP is a login and chat endpoint.
func TCP(addr netip.Addr, port uint16) Endpoint {
	return Endpoint{"tcp", netip.AddrPortFrom(addr, port)}
}

// UDP is a state endpoint.
func UDP(addr netip.Addr, port uint16) Endpoint {
	return Endpoint{"udp", netip.AddrPortFrom(addr, port)}
}

// Dialer makes players' connections; a namespace of a lab is one. An invalid
// from leaves the choice of address and port to the kernel.
type Dialer interface {
	DialFrom(ctx context.Context, network string, from, to netip.AddrPort) (net.Conn, error)
}

package remote

import (
	"net"
	"net/netip"
)

// How many connections there may be at a time, from one address and in all, and how many an address may begin.
const (
	maxConnections     = 256
	maxConnectionsEach = 32
	connectionsRate    = 10 // a second
	connectionsBurst   = 50
)

// limited closes connections above the limits before a byte of them is read.
type limited struct {
	net.Listener
	open  *slots
	begun *limiter
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := hostOf(conn.RemoteAddr().String())
		if !l.begun.allow(host) {
			conn.Close()
			continue
		}
		release, ok := l.open.take(host)
		if !ok {
			conn.Close()
			continue
		}
		return &limitedConn{conn, release}, nil
	}
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// hostOf is whom limits are for: an IPv4 address, or the 64 bits of an IPv6 one that a network gets.
func hostOf(addrPort string) string {
	at, err := netip.ParseAddrPort(addrPort)
	if err != nil {
		return ""
	}
	addr := at.Addr().Unmap()
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

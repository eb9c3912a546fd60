package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// ports below those that the kernel gives, each used once a run: a port that came back within a timeout would be the same
// session to anybody who sees packets only.
const firstPort, portCount = 10000, 20000

// ports makes connections, each from the next port.
type ports struct{ next atomic.Uint32 }

// newPorts begins anywhere, so that a run does not meet the ports of the one before.
func newPorts() *ports {
	p := &ports{}
	p.next.Store(rand.Uint32N(portCount))
	return p
}

// DialFrom is that of [game.Dialer].
func (p *ports) DialFrom(ctx context.Context, network string, _, to netip.AddrPort) (net.Conn, error) {
	for {
		port := int(firstPort + p.next.Add(1)%portCount)
		d := net.Dialer{KeepAlive: -1, LocalAddr: &net.TCPAddr{Port: port}}
		if network == "udp" {
			d.LocalAddr = &net.UDPAddr{Port: port}
		}
		conn, err := d.DialContext(ctx, network, to.String())
		if !errors.Is(err, syscall.EADDRINUSE) {
			return conn, err
		}
	}
}

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// packetBuffer is the receive and send buffer of sockets made by
// [NS.ListenPacket]: a server's burst of a few thousand packets fits.
const packetBuffer = 16 << 20

// Listen listens for TCP on a literal address inside the namespace.
func (ns *NS) Listen(network string, addr netip.AddrPort) (*net.TCPListener, error) {
	var ln net.Listener
	err := ns.Do(func() (err error) {
		lc := net.ListenConfig{KeepAlive: -1}
		lc.SetMultipathTCP(false)
		ln, err = lc.Listen(context.Background(), network, addr.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen in %s: %w", ns.Name, err)
	}
	return ln.(*net.TCPListener), nil
}

// ListenPacket makes a UDP socket, bound to a literal address, inside the
// namespace, with large buffers.
func (ns *NS) ListenPacket(network string, addr netip.AddrPort) (*net.UDPConn, error) {
	var pc net.PacketConn
	err := ns.Do(func() (err error) {
		lc := net.ListenConfig{Control: largeBuffers}
		pc, err = lc.ListenPacket(context.Background(), network, addr.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen in %s: %w", ns.Name, err)
	}
	return pc.(*net.UDPConn), nil
}

// Dial connects to a literal address from inside the namespace.
func (ns *NS) Dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	return ns.DialFrom(ctx, network, netip.AddrPort{}, to)
}

// DialFrom is [NS.Dial] from a given local address and port; an invalid from,
// or port 0, leaves the choice to the kernel. It holds an OS thread until the
// connection stands: callers that open many bound how many at once.
func (ns *NS) DialFrom(ctx context.Context, network string, from, to netip.AddrPort) (net.Conn, error) {
	// With one literal address and no fallback, the dialer makes its socket
	// on the calling goroutine, and so on the locked thread.
	d := net.Dialer{FallbackDelay: -1, KeepAlive: -1, LocalAddr: localAddr(network, from)}
	var conn net.Conn
	err := ns.Do(func() (err error) {
		conn, err = d.DialContext(ctx, network, to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dial in %s: %w", ns.Name, err)
	}
	return conn, nil
}

// localAddr is from as the network's kind of address, or nil.
func localAddr(network string, from netip.AddrPort) net.Addr {
	switch {
	case !from.IsValid():
		return nil
	case network[:3] == "udp":
		return net.UDPAddrFromAddrPort(from)
	default:
		return net.TCPAddrFromAddrPort(from)
	}
}

// largeBuffers sizes a socket's buffers beyond the system's limit.
func largeBuffers(_, _ string, c syscall.RawConn) error {
	var err error
	ctlErr := c.Control(func(fd uintptr) {
		for _, opt := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, opt, packetBuffer)
			}
		}
	})
	if ctlErr != nil {
		return ctlErr
	}
	return err
}

package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/health"
)

// Question is one probe: exactly one of TCP, UDP and HTTP says how.
type Question struct {
	From, To netip.AddrPort
	Timeout  time.Duration
	TCP      bool
	UDP      *config.UDPCheck
	HTTP     *config.HTTPCheck
}

// Answer is what came of it.
type Answer struct {
	Saw    string        // what was seen, when it is well
	Failed string        // why it is not; "": it is
	Took   time.Duration // until then
}

// maxSeen bounds what is told of an answer, in bytes, and maxRead what is read of one.
const (
	maxSeen = 64
	maxRead = 64 << 10
)

// dialer makes connections from somewhere.
type dialer func(ctx context.Context, network string, from, to netip.AddrPort) (net.Conn, error)

// Ask asks from the namespace of players.
func (n *Net) Ask(ctx context.Context, q Question) Answer { return ask(ctx, n.dial, q) }

func ask(ctx context.Context, dial dialer, q Question) Answer {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	began := time.Now()
	var saw string
	var err error
	switch {
	case q.UDP != nil:
		saw, err = askUDP(ctx, dial, q)
	case q.HTTP != nil:
		saw, err = askHTTP(ctx, dial, q)
	default:
		saw, err = askTCP(ctx, dial, q)
	}
	a := Answer{Saw: saw, Took: time.Since(began)}
	switch timeout := (net.Error)(nil); {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		a.Failed = fmt.Sprintf("no answer in %s", q.Timeout)
	case err != nil:
		a.Failed = err.Error()
	}
	return a
}

func askTCP(ctx context.Context, dial dialer, q Question) (string, error) {
	conn, err := dial(ctx, "tcp", q.From, q.To)
	if err != nil {
		return "", err
	}
	return "connected", conn.Close()
}

// askUDP sends again while nothing comes: a datagram may be lost.
func askUDP(ctx context.Context, dial dialer, q Question) (string, error) {
	conn, err := dial(ctx, "udp", q.From, q.To)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	const tries = 4
	answer := make([]byte, maxRead)
	for range tries {
		if _, err := io.WriteString(conn, q.UDP.Send); err != nil {
			return "", err
		}
		if err := conn.SetReadDeadline(time.Now().Add(q.Timeout / tries)); err != nil {
			return "", err
		}
		n, err := conn.Read(answer)
		if timeout := (net.Error)(nil); errors.As(err, &timeout) && timeout.Timeout() {
			continue
		}
		if err != nil {
			return "", err
		}
		saw := fmt.Sprintf("the answer begins with %q", answer[:min(n, maxSeen)])
		if !bytes.HasPrefix(answer[:n], []byte(q.UDP.Expect)) {
			return "", fmt.Errorf("%s, not with %q", saw, q.UDP.Expect)
		}
		return saw, nil
	}
	return "", context.DeadlineExceeded
}

func askHTTP(ctx context.Context, dial dialer, q Question) (string, error) {
	status, err := health.AskHTTP(ctx, *q.HTTP, q.To, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, "tcp", q.From, q.To)
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("status %d", status), nil
}

// dial makes a connection from the namespace of players.
func (n *Net) dial(ctx context.Context, network string, from, to netip.AddrPort) (conn net.Conn, err error) {
	err = n.players.do(func() error {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from)}
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(from)
		}
		conn, err = d.DialContext(ctx, network, to.String()) // of an address, so that no other goroutine dials
		return err
	})
	return conn, err
}

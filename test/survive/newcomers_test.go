package survive

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	newcomersPerSecond = 1000
	newcomerHands      = 6
	firstClientPort    = 2000
	clientPorts        = 30000 // below those that the kernel chooses from
	clientAddresses    = 6
)

// newcomers are sessions that come in all the time, one in eight over TCP: each logs in, asks once more, and stays.
type newcomers struct {
	lab     *lab.Lab
	from    []netip.Addr
	stop    atomic.Bool
	hands   sync.WaitGroup
	next    atomic.Int64
	opened  atomic.Int64
	started time.Time

	mu   sync.Mutex
	here []*game.Session
	errs []error
}

func mustNewcomers(t *testing.T, l *lab.Lab) *newcomers {
	t.Helper()
	v4, _, err := l.ClientAddresses(clientAddresses)
	if err != nil {
		t.Fatal(err)
	}
	n := &newcomers{lab: l, from: v4, started: time.Now()}
	for range newcomerHands {
		n.hands.Go(func() {
			if err := l.Client.Do(n.come); err != nil {
				n.fail(err)
			}
		})
	}
	t.Cleanup(func() {
		n.end()
		n.forget(len(n.here))
	})
	return n
}

// here opens sockets in the namespace of the calling thread.
type here struct{}

func (here) DialFrom(ctx context.Context, network string, from, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{FallbackDelay: -1, KeepAlive: -1, LocalAddr: net.UDPAddrFromAddrPort(from)}
	if network == "tcp" {
		d.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	return d.DialContext(ctx, network, to.String())
}

// come lets sessions in, at its share of the rate and no faster, until the end. It runs in the client's namespace.
func (n *newcomers) come() error {
	for !n.stop.Load() {
		i := n.next.Add(1)
		due := n.started.Add(time.Duration(i) * time.Second / newcomersPerSecond)
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		} else if wait < -time.Second/10 { // a machine that is too slow does not catch up
			n.next.Add(int64(-wait.Seconds() * newcomersPerSecond))
		}
		if err := n.open(n.opened.Add(1)); err != nil {
			n.fail(err)
		}
	}
	return nil
}

func (n *newcomers) open(i int64) error {
	port := uint16(firstClientPort + i%clientPorts)
	from := netip.AddrPortFrom(n.from[i/clientPorts%int64(len(n.from))], port)
	to := game.UDP(vip.Addr(), vip.Port())
	if i%8 == 0 {
		to = game.TCP(vip.Addr(), vip.Port())
	}
	s, err := game.Open(context.Background(), here{}, from, to)
	if err != nil {
		return fmt.Errorf("login of %s %s: %w", to.Network, from, err)
	}
	n.mu.Lock()
	n.here = append(n.here, s)
	n.mu.Unlock()
	if err := s.Ask(); err != nil {
		return err
	}
	return s.Ask()
}

func (n *newcomers) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errs = append(n.errs, err)
}

// end lets nobody in any more.
func (n *newcomers) end() {
	n.stop.Store(true)
	n.hands.Wait()
}

// count is how many are here.
func (n *newcomers) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.here)
}

// forget ends the oldest sessions, silently over UDP.
func (n *newcomers) forget(count int) {
	n.mu.Lock()
	gone := n.here[:count:count]
	n.here = n.here[count:]
	n.mu.Unlock()
	for _, s := range gone {
		s.Reset()
	}
}

// mustGoOn checks that the oldest sessions, which have been let in for good, are still answered as they were, and that
// none of them was broken.
func (n *newcomers) mustGoOn(t *testing.T, count int) {
	t.Helper()
	n.mu.Lock()
	oldest, errs := n.here[:count:count], n.errs
	n.mu.Unlock()
	if len(errs) > 0 {
		t.Errorf("%d newcomers failed: %v", len(errs), errs[:min(len(errs), 4)])
	}
	broken := 0
	for _, s := range oldest {
		err := s.Ask()
		if r := s.Report(); err != nil || len(r.Broken) > 0 {
			if broken++; broken <= 4 {
				t.Errorf("%s %s of %s: %v, %q", r.Network, r.Client, r.Backend, err, r.Broken)
			}
		}
	}
	if broken > 0 {
		t.Errorf("%d of %d newcomers are broken", broken, count)
	}
}

// rate since a moment at which so many had been opened.
func (n *newcomers) rate(opened int64, since time.Time) float64 {
	return float64(n.opened.Load()-opened) / time.Since(since).Seconds()
}

// mustHavePins checks that the oldest sessions have one pin each, and that no flow at all has two.
func (s *stage) mustHavePins(t *testing.T, n *newcomers, count int) {
	t.Helper()
	pins := s.pins(t)
	clients := map[netip.AddrPort]int{}
	for f, have := range pins {
		clients[f.client] += have
		if have > 1 {
			t.Errorf("%v is pinned %d times", f, have)
		}
	}
	n.mu.Lock()
	oldest := n.here[:count:count]
	n.mu.Unlock()
	for _, session := range oldest {
		if r := session.Report(); clients[r.Client] != 1 {
			t.Errorf("%s %s has %d pins", r.Network, r.Client, clients[r.Client])
		}
	}
}

package survive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	// mostHere bounds how many stay, and with them the open files of this process.
	mostHere = 1500
	// fewest are as many as a slow machine lets in within seconds.
	fewest = newcomersPerSecond / 4
)

// newcomers are sessions that come in all the time, of both families, one in eight over TCP: each logs in, asks once
// more, and stays. When too many are here one leaves, whichever, so that those who stay are of every age.
type newcomers struct {
	lab     *lab.Lab
	from    [2][]netip.Addr // by family, as vips are
	stop    atomic.Bool
	hands   sync.WaitGroup
	next    atomic.Int64
	opened  atomic.Int64
	letIn   atomic.Int64 // and answered twice
	started time.Time

	mu   sync.Mutex
	here []*game.Session
	errs []error
}

func mustNewcomers(t *testing.T, l *lab.Lab) *newcomers {
	t.Helper()
	v4, v6, err := l.ClientAddresses(clientAddresses)
	if err != nil {
		t.Fatal(err)
	}
	n := &newcomers{lab: l, from: [2][]netip.Addr{v4, v6}, started: time.Now()}
	for range newcomerHands {
		n.hands.Go(func() {
			if err := l.Client.Do(n.come); err != nil {
				n.fail(err)
			}
		})
	}
	t.Cleanup(func() {
		n.end()
		forget(n.take())
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

// open lets one in: of eight in a row one comes over TCP, and the next eight are of the other family.
func (n *newcomers) open(i int64) error {
	family := i / 8 % 2
	from := netip.AddrPortFrom(n.from[family][i/clientPorts%clientAddresses], uint16(firstClientPort+i%clientPorts))
	to := game.UDP(vips[family], port)
	if i%8 == 0 {
		to = game.TCP(vips[family], port)
	}
	s, err := game.Open(context.Background(), here{}, from, to)
	if err != nil {
		return fmt.Errorf("login of %s %s: %w", to.Network, from, err)
	}
	if err := errors.Join(s.Ask(), s.Ask()); err != nil {
		s.Reset()
		return err
	}
	n.letIn.Add(1)
	n.stay(s)
	return nil
}

// stay takes sessions among those who are here. Others make room.
func (n *newcomers) stay(sessions ...*game.Session) {
	var gone []*game.Session
	n.mu.Lock()
	n.here = append(n.here, sessions...)
	for last := len(n.here) - 1; last >= mostHere; last-- {
		i := rand.IntN(last + 1)
		gone = append(gone, n.here[i])
		n.here[i], n.here = n.here[last], n.here[:last]
	}
	n.mu.Unlock()
	forget(gone)
}

// forget ends sessions, silently over UDP.
func forget(sessions []*game.Session) {
	for _, s := range sessions {
		s.Reset()
	}
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

// take takes all who are here, who then belong to the caller.
func (n *newcomers) take() []*game.Session {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.here
	n.here = nil
	return all
}

// mustGoOn checks that sessions which have been let in are still answered as they were, and that nobody was turned away.
func (n *newcomers) mustGoOn(t *testing.T, sessions []*game.Session) {
	t.Helper()
	n.mu.Lock()
	errs := n.errs
	n.mu.Unlock()
	if len(errs) > 0 {
		t.Errorf("%d newcomers failed: %v", len(errs), errs[:min(len(errs), 4)])
	}
	broken := 0
	for _, s := range sessions {
		err := s.Ask()
		if r := s.Report(); err != nil || len(r.Broken) > 0 {
			if broken++; broken <= 4 {
				t.Errorf("%s %s of %s: %v, %q", r.Network, r.Client, r.Backend, err, r.Broken)
			}
		}
	}
	if broken > 0 {
		t.Errorf("%d of %d newcomers are broken", broken, len(sessions))
	}
}

// arrivals count who is let in from a moment on.
type arrivals struct {
	*newcomers
	before int64
	since  time.Time
}

func (n *newcomers) arrivals() arrivals { return arrivals{n, n.letIn.Load(), time.Now()} }

// mustCome checks that newcomers came in since, says at which rate, and waits until there were enough of them: how fast they
// come is the machine's affair.
func (a arrivals) mustCome(t *testing.T) {
	t.Helper()
	came, took := a.letIn.Load()-a.before, time.Since(a.since).Seconds()
	t.Logf("%.0f newcomers a second were let in during the %.1f s", float64(came)/took, took)
	if came == 0 {
		t.Errorf("no newcomers in %.1f s: nothing was tested", took)
	}
	lab.Eventually(t, fmt.Sprintf("%d newcomers", fewest), func() bool { return a.letIn.Load()-a.before >= fewest })
}

// mustHavePins checks that sessions have one pin each, and that no flow at all has two.
func (s *stage) mustHavePins(t *testing.T, sessions []*game.Session) {
	t.Helper()
	clients := map[netip.AddrPort]int{}
	for f, have := range s.pins(t) {
		clients[f.client] += have
		if have > 1 {
			t.Errorf("%v is pinned %d times", f, have)
		}
	}
	for _, session := range sessions {
		if r := session.Report(); clients[r.Client] != 1 {
			t.Errorf("%s %s has %d pins", r.Network, r.Client, clients[r.Client])
		}
	}
}

package e2e

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// pushers are servers on every backend that send all the while, whoever listens, and tell their colour with each byte.
type pushers struct {
	mu    sync.Mutex
	ended map[netip.AddrPort]error // by client: how the server's socket ended
}

// push serves every endpoint of the stage.
func (s *stage) push(t *testing.T) *pushers {
	t.Helper()
	p := &pushers{ended: map[netip.AddrPort]error{}}
	for _, b := range s.lab.Backends {
		for _, e := range s.endpoints {
			ln, err := b.Listen("tcp", netip.AddrPortFrom(b.Address(e.Addr.Addr()), e.Addr.Port()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			go func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					go p.serve(conn, b.Colour)
				}
			}()
		}
	}
	return p
}

// serve sends a kilobyte every other millisecond until the socket fails.
func (p *pushers) serve(conn net.Conn, colour string) {
	defer conn.Close()
	go io.Copy(io.Discard, conn)
	chunk := make([]byte, 1024)
	for i := range chunk {
		chunk[i] = colour[0]
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := conn.Write(chunk); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.ended[conn.RemoteAddr().(*net.TCPAddr).AddrPort()] = err
			return
		}
	}
}

func (p *pushers) end(client netip.AddrPort) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended[client]
}

// reader is a player who reads what is pushed to him and answers each piece with a byte.
type reader struct {
	conn   net.Conn
	colour byte

	mu   sync.Mutex
	read int
	err  error
}

func (s *stage) reader(t *testing.T, from netip.Addr, to netip.AddrPort) *reader {
	t.Helper()
	conn, err := s.lab.Client.DialFrom(t.Context(), "tcp", netip.AddrPortFrom(from, 0), to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r, first := &reader{conn: conn}, make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		t.Fatal(err)
	}
	r.colour = first[0]
	go r.play()
	return r
}

func (r *reader) play() {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.conn.Read(buf)
		if err == nil {
			_, err = r.conn.Write(buf[:1])
		}
		r.mu.Lock()
		r.read, r.err = r.read+n, err
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (r *reader) seen() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read, r.err
}

// mustHearMore waits for more of what is pushed.
func (r *reader) mustHearMore(t *testing.T) {
	t.Helper()
	before, _ := r.seen()
	eventually(t, r.conn.LocalAddr().String()+" to hear more", func() bool {
		n, err := r.seen()
		if err != nil {
			t.Fatal(err)
		}
		return n > before+100_000
	})
}

// guest is a player who is evicted, and one who is not.
type guest struct {
	addr        netip.Addr
	to          netip.AddrPort
	out, beside *reader
}

// evicted lets players of each endpoint in on blue, flips, and evicts one of each.
func (s *stage) evicted(t *testing.T) (out []guest) {
	t.Helper()
	v4, v6, err := s.lab.ClientAddresses(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.endpoints {
		addrs := v4
		if e.Addr.Addr().Is6() {
			addrs = v6
		}
		g := guest{addr: addrs[1], to: e.Addr, out: s.reader(t, addrs[1], e.Addr), beside: s.reader(t, addrs[0], e.Addr)}
		if g.out.colour != 'b' || g.beside.colour != 'b' {
			t.Fatalf("players of %s are not on blue", e.Addr)
		}
		out = append(out, g)
	}
	s.flip(t)
	for _, g := range out {
		g.out.mustHearMore(t)
		req := api.EvictRequest{Service: service, Generation: 1, Client: g.addr.String(), Batch: 50, EverySeconds: api.MinEvictEvery.Seconds()}
		marked := uint64(0)
		if err := s.host.Client.Evict(t.Context(), req, func(p api.EvictProgress) error {
			marked = p.Marked
			return nil
		}); err != nil || marked != 1 {
			t.Fatalf("%d marked: %v", marked, err)
		}
	}
	return out
}

// Kernel stacks at both ends, and a server that pushes all the while: the client's is reset, the server's falls silent and
// ends, the reconnect lands on live, and nobody else is touched.
func TestAnEvictedSessionEndsAtBothEndsWhileItsServerPushes(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{
				forwarding: forwarding, networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, timeouts: calm, noWorld: true,
			})
			servers := s.push(t)
			for _, g := range s.evicted(t) {
				client := g.out.conn.LocalAddr().(*net.TCPAddr).AddrPort()
				eventually(t, "the client's stack to take a RST", func() bool {
					_, err := g.out.seen()
					return errors.Is(err, syscall.ECONNRESET)
				})
				eventually(t, "the server's socket to end", func() bool { return servers.end(client) != nil })
				if again := s.reader(t, g.addr, g.to); again.colour != 'g' {
					t.Errorf("%s came back to %c", client, again.colour)
				}
				g.beside.mustHearMore(t)
				if err := servers.end(g.beside.conn.LocalAddr().(*net.TCPAddr).AddrPort()); err != nil {
					t.Errorf("another's server: %v", err)
				}
			}
			if b := s.generation(t, blue); b.Moved != 2 || b.NewSinceFlip != 0 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// The test above sees what it claims to see: without the step that makes the RSTs, nobody is told.
func TestWithoutResetsAnEvictedSessionEndsAtNeitherEnd(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, timeouts: calm, noWorld: true})
	servers := s.push(t)
	const reset4 = uint32(12) // STEP_RESET4
	if err := s.table(t).plane.Tables.Map("steps").Delete(reset4); err != nil {
		t.Fatal(err)
	}
	g := s.evicted(t)[0]
	eventually(t, "packets of the session to be dropped", func() bool { return s.host.Status(t).Reasons["drop_bad_map"] >= 4 })
	if _, err := g.out.seen(); err != nil {
		t.Errorf("the client: %v", err)
	}
	if err := servers.end(g.out.conn.LocalAddr().(*net.TCPAddr).AddrPort()); err != nil {
		t.Errorf("the server: %v", err)
	}
	g.beside.mustHearMore(t)
}

package e2e

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	// narrow is an MTU that both families can live with, and that no end of a connection knows of.
	narrow = 1300
	// bulk is more than windows hold, so that a way that swallows large packets stops it.
	bulk = 1 << 20
)

// The way to the client is narrower than the backend knows. The router's error about it goes to the VIP; in nat the
// backend's stack takes it only when the packet quoted is the one that it sent.
func TestPathMTUDiscoveryOfBackends(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{
				forwarding: forwarding, networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, noWorld: true,
			})
			setMTU(t, s.lab.Router, "clients")
			s.serveWith(t, sendsBulk)
			for _, e := range s.endpoints {
				before := s.reasons(t)
				s.transfer(t, e.Addr, 0, bulk)
				after := s.reasons(t)
				if after["event_icmp_error"] == before["event_icmp_error"] {
					t.Errorf("%v: no ICMP error went to a backend: the way was not too narrow, so this has not tested", e.Addr)
				}
				for _, name := range []string{"drop_icmp_no_flow", "drop_too_big", "drop_malformed"} {
					if after[name] != before[name] {
						t.Errorf("%v: %s went from %d to %d", e.Addr, name, before[name], after[name])
					}
				}
			}
		})
	}
}

// The way from here to the backends is narrower than the client knows: the program tells it.
func TestPathMTUDiscoveryOfClients(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{
				forwarding: forwarding, arms: lab.TwoArms, networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, noWorld: true,
			})
			setMTU(t, s.lab.LB, "eth1")
			eventually(t, "the daemon to know the narrow way", func() bool { return s.allNarrow(t) })
			s.serveWith(t, takesBulk)
			for _, e := range s.endpoints {
				before := s.reasons(t)
				s.transfer(t, e.Addr, bulk, 1)
				if after := s.reasons(t); after["event_too_big"] == before["event_too_big"] {
					t.Errorf("%v: no packet was too big, so this has not tested", e.Addr)
				}
			}
		})
	}
}

func setMTU(t *testing.T, ns *lab.NS, name string) {
	t.Helper()
	link, err := ns.Netlink().LinkByName(name)
	if err == nil {
		err = ns.Netlink().LinkSetMTU(link, narrow)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// serveWith gives every listener's connections to every backend's server.
func (s *stage) serveWith(t *testing.T, server func(*net.TCPConn)) {
	t.Helper()
	for _, b := range s.lab.Backends {
		for _, e := range s.endpoints {
			l, err := b.Listen("tcp", netip.AddrPortFrom(b.Address(e.Addr.Addr()), port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.AcceptTCP()
					if err != nil {
						return // closed
					}
					go func() {
						defer c.Close()
						server(c)
					}()
				}
			}()
		}
	}
}

// sendsBulk is a server that sends a lot. What of it is missing, the client says.
func sendsBulk(c *net.TCPConn) { _, _ = c.Write(make([]byte, bulk)) }

// takesBulk is a server that says when it has a lot.
func takesBulk(c *net.TCPConn) {
	if n, err := io.CopyN(io.Discard, c, bulk); err == nil && n == bulk {
		_, _ = c.Write([]byte{1})
	}
}

// transfer sends so much to a listener, and waits for so much.
func (s *stage) transfer(t *testing.T, to netip.AddrPort, send, want int64) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), forEver)
	defer stop()
	c, err := s.lab.Client.Dial(ctx, "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(forEver)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, send)); err != nil {
		t.Fatalf("%v: send: %v", to, err)
	}
	if n, err := io.CopyN(io.Discard, c, want); err != nil {
		t.Fatalf("%v: %d of %d bytes came: %v", to, n, want, err)
	}
}

// reasons reads the data plane's counters.
func (s *stage) reasons(t *testing.T) map[string]uint64 {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out, err := p.Tables.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// allNarrow: the data plane has been told of the narrow way for every backend.
func (s *stage) allNarrow(t *testing.T) bool {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, f := range maps.Families() {
		for id := range p.Tables.Backends(f) {
			if hop, _ := p.Tables.Hop(f, id); hop.Room != narrow {
				return false
			}
		}
	}
	return true
}

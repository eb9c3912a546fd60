package e2e

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

// arrival is a connection that a backend accepted.
type arrival struct {
	backend *lab.Backend
	client  netip.AddrPort
	conn    net.Conn
}

// doors are TCP listeners on all backends, which tell whom they accepted.
type doors struct{ arrivals chan arrival }

func (s *stage) doors(t *testing.T) doors {
	t.Helper()
	d := doors{make(chan arrival, 1024)}
	for _, b := range s.lab.Backends {
		for _, e := range s.endpoints {
			ln, err := b.Listen("tcp", netip.AddrPortFrom(b.Address(e.Addr.Addr()), e.Addr.Port()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			go d.accept(b, ln)
		}
	}
	return d
}

func (d doors) accept(b *lab.Backend, ln *net.TCPListener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		from := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
		d.arrivals <- arrival{b, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), conn}
	}
}

// admits waits for the next arrival, which must be that client's, and at a backend of that colour.
func (d doors) admits(t *testing.T, client netip.AddrPort, colour string) arrival {
	t.Helper()
	select {
	case a := <-d.arrivals:
		t.Cleanup(func() { a.conn.Close() })
		if a.client != client || a.backend.Colour != colour {
			t.Fatalf("%s accepted %s, want %s on %s", a.backend.Name, a.client, client, colour)
		}
		return a
	case <-time.After(forEver):
		t.Fatalf("nobody accepted %s", client)
		return arrival{}
	}
}

package probe

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Served is a session that a backend of the shadow has taken.
type Served struct {
	Colour, Network string
	Client          netip.AddrPort
}

// servers are the shadow's backends. What they get they send back behind their colour, so that a player sees who answers,
// and whether anything was lost.
type servers struct {
	mu    sync.Mutex
	log   []Served
	seen  map[Served]bool // of UDP: each client is a session
	conns map[net.Conn]bool
	doors []interface{ Close() error }
	over  bool
}

// newServers listens at both backends.
func newServers(in *space) (*servers, error) {
	s := &servers{seen: map[Served]bool{}, conns: map[net.Conn]bool{}}
	for colour, addr := range map[string]netip.Addr{"blue": ShadowBlue, "green": ShadowGreen} {
		at := netip.AddrPortFrom(addr, ShadowPort)
		err := in.do(func() error {
			ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
			if err != nil {
				return err
			}
			s.doors = append(s.doors, ln)
			go s.accept(colour, ln)
			conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
			if err != nil {
				return err
			}
			s.doors = append(s.doors, conn)
			go s.echo(colour, conn)
			return nil
		})
		if err != nil {
			s.close()
			return nil, fmt.Errorf("listen on the shadow's backend %s: %w", at, err)
		}
	}
	return s, nil
}

func (s *servers) accept(colour string, ln *net.TCPListener) {
	for {
		conn, err := ln.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		switch {
		case err != nil:
			time.Sleep(again) // there are too many files open, perhaps: that does not end by asking again at once
		case s.took(Served{colour, "tcp", conn.RemoteAddr().(*net.TCPAddr).AddrPort()}, conn):
			go s.serve(colour, conn)
		default:
			conn.Close()
		}
	}
}

func (s *servers) serve(colour string, conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	}()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if _, err := fmt.Fprintf(conn, "%s %s\n", colour, lines.Text()); err != nil {
			return
		}
	}
}

func (s *servers) echo(colour string, conn *net.UDPConn) {
	buf := make([]byte, maxSeen)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s.took(Served{colour, "udp", from}, nil)
		_, _ = conn.WriteToUDPAddrPort(fmt.Appendf(nil, "%s %s", colour, buf[:n]), from) // its player sees when it is not there
	}
}

// took notes a session, and the connection that ends with the server.
func (s *servers) took(is Served, conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	if conn != nil {
		s.conns[conn] = true
	}
	if !s.seen[is] {
		s.seen[is] = true
		s.log = append(s.log, is)
	}
	return true
}

// forget begins the log anew.
func (s *servers) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
	clear(s.seen)
}

func (s *servers) served() []Served {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Served{}, s.log...)
}

func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, d := range s.doors {
		d.Close()
	}
	for conn := range s.conns {
		conn.Close()
	}
}

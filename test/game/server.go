package game

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Listener makes a server's sockets; a namespace of a lab is one.
type Listener interface {
	Listen(network string, addr netip.AddrPort) (*net.TCPListener, error)
	ListenPacket(network string, addr netip.AddrPort) (*net.UDPConn, error)
}

// Server is the game on one backend.
type Server struct {
	name, colour string
	log          *AcceptLog
	running      sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // of mu: a session came or went
	closed  bool
	sockets []interface{ Close() error }
	conns   map[netip.AddrPort]*chat
	states  int // UDP sessions that did not say bye
	faults  []string
}

// NewServer makes a server that notes in log what it accepts.
func NewServer(name, colour string, log *AcceptLog) *Server {
	s := &Server{name: name, colour: colour, log: log, conns: map[netip.AddrPort]*chat{}}
	s.changed.L = &s.mu
	return s
}

// Listen serves the game at an endpoint until [Server.Close].
func (s *Server) Listen(host Listener, e Endpoint) error {
	if e.Network == "udp" {
		pc, err := host.ListenPacket(e.Network, e.Addr)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		s.serve(pc, func() { s.serveStates(pc) })
		return nil
	}
	ln, err := host.Listen(e.Network, e.Addr)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.serve(ln, func() { s.serveLogins(ln) })
	return nil
}

// serve keeps a socket and runs its loop.
func (s *Server) serve(socket interface{ Close() error }, loop func()) {
	s.mu.Lock()
	s.sockets = append(s.sockets, socket)
	s.mu.Unlock()
	s.running.Go(loop)
}

// Close closes every socket, which cuts the sessions, and waits for the loops.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var errs []error
	for _, socket := range s.sockets {
		errs = append(errs, socket.Close())
	}
	for _, conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return errors.Join(errs...)
}

// Open counts the sessions in progress, by the server's own sockets and state.
func (s *Server) Open() (tcp, udp int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.states
}

// Wait waits until the numbers of sessions in progress are as wanted.
func (s *Server) Wait(ready func(tcp, udp int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ready(len(s.conns), s.states) {
		s.changed.Wait()
	}
}

// Faults are the gaps and repeats in what players sent, as the server saw them.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// fault notes something that should not have come.
func (s *Server) fault(network string, client netip.AddrPort, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf("%s %s %s: %s", s.name, network, client, fmt.Sprintf(format, args...)))
}

// visit is what a server knows of one session.
type visit struct {
	session uint64
	count   uint64
	last    uint64 // highest request number
}

// answer counts a request and makes its answer. The fault is empty when the
// request was the next one.
func (s *Server) answer(v *visit, f frame) (frame, string) {
	var fault string
	switch {
	case f.seq <= v.last:
		fault = fmt.Sprintf("request %d again, after %d", f.seq, v.last)
	case f.seq != v.last+1:
		fault = fmt.Sprintf("gap: request %d after %d", f.seq, v.last)
	}
	v.count++
	v.last = max(v.last, f.seq)
	f.count, f.colour, f.backend = v.count, s.colour, s.name
	return f, fault
}

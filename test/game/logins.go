package game

import (
	"fmt"
	"io"
	"net"
	"net/netip"
)

// serveLogins accepts TCP sessions until the listener is closed.
func (s *Server) serveLogins(ln *net.TCPListener) {
	for {
		conn, err := ln.AcceptTCP()
		if err != nil {
			return
		}
		client := remote(conn)
		s.log.add(Accept{Backend: s.name, Colour: s.colour, Network: "tcp", Client: client})
		if !s.enter(client, conn) {
			conn.Close()
			return
		}
		s.running.Go(func() { s.serveChat(conn, client) })
	}
}

// serveChat answers one TCP session until the player leaves.
func (s *Server) serveChat(conn *net.TCPConn, client netip.AddrPort) {
	defer s.leave(client, conn)
	var v visit
	buf := make([]byte, frameSize)
	for {
		if _, err := io.ReadFull(conn, buf); err != nil {
			return // the player judges what was cut
		}
		f, err := parseFrame(buf)
		if err != nil {
			s.fault("tcp", client, "%v", err)
			return
		}
		answer, fault := s.answer(&v, f)
		if fault != "" {
			s.fault("tcp", client, "%s", fault)
		}
		if _, err := conn.Write(answer.appendTo(nil)); err != nil {
			return
		}
	}
}

// enter notes a connection, unless the server is closed.
func (s *Server) enter(client netip.AddrPort, conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	if !s.closed {
		s.conns[client] = conn
	}
	return !s.closed
}

// leave closes a connection and forgets it.
func (s *Server) leave(client netip.AddrPort, conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	if s.conns[client] == conn {
		delete(s.conns, client)
	}
}

// Kick ends a client's TCP session from this side: the game's own doing, which
// breaks no player. It fails when there is no such session.
func (s *Server) Kick(client netip.AddrPort) error {
	s.mu.Lock()
	conn, ok := s.conns[client].(*net.TCPConn)
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("%s: no session of %s", s.name, client)
	}
	// Errors here mean that the client has gone by itself.
	conn.Write(frame{kind: bye, colour: s.colour, backend: s.name}.appendTo(nil))
	conn.CloseWrite()
	return nil
}

// remote is a connection's other end, an IPv4 address as such.
func remote(conn net.Conn) netip.AddrPort { return addrPort(conn.RemoteAddr()) }

// addrPort is a socket address in the form that compares.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

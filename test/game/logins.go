package game

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// chat is a TCP session's connection.
type chat struct {
	*net.TCPConn

	mu     sync.Mutex // held for what is written
	kicked bool
}

// answer writes an answer. After a kick's bye comes nothing but the end.
func (c *chat) answer(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kicked {
		return nil
	}
	_, err := c.Write(f.appendTo(nil))
	return err
}

// kick writes the bye and ends the connection, with no answer between them.
// Errors here mean that the client has gone by itself.
func (c *chat) kick(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kicked = true
	c.Write(f.appendTo(nil))
	c.CloseWrite()
}

// serveLogins accepts TCP sessions until the listener is closed.
func (s *Server) serveLogins(ln *net.TCPListener) {
	for {
		tcp, err := ln.AcceptTCP()
		if err != nil {
			return
		}
		conn := &chat{TCPConn: tcp}
		client := remote(conn)
		s.log.add(Accept{Backend: s.name, Colour: s.colour, Network: "tcp", Client: client})
		if !s.enter(client, conn) {
			conn.Close()
			return
		}
		s.running.Go(func() { s.serveChat(conn, client) })
	}
}

// serveChat answers one TCP session until the player leaves. One who was kicked
// is read until he has gone: a socket closed before that answers with a reset.
func (s *Server) serveChat(conn *chat, client netip.AddrPort) {
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
		if err := conn.answer(answer); err != nil {
			return
		}
	}
}

// enter notes a connection, unless the server is closed.
func (s *Server) enter(client netip.AddrPort, conn *chat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	if !s.closed {
		s.conns[client] = conn
	}
	return !s.closed
}

// leave forgets a connection and closes it, in this order: a player who has
// seen the end is no longer counted.
func (s *Server) leave(client netip.AddrPort, conn *chat) {
	defer conn.Close()
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
	conn, ok := s.conns[client]
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("%s: no session of %s", s.name, client)
	}
	conn.kick(frame{kind: bye, colour: s.colour, backend: s.name})
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

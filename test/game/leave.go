package game

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// Logout ends the session as a player does: bye, its answer, and for TCP a FIN
// each way. What does not come as it should is in the report.
func (s *Session) Logout() {
	s.halt()
	if s.over.Load() || s.send(bye) != nil || s.await() != nil {
		s.close()
		return
	}
	if tcp, ok := s.conn.(*net.TCPConn); ok {
		s.finish(tcp)
	}
	s.close()
}

// finish sends the FIN and waits for the server's.
func (s *Session) finish(tcp *net.TCPConn) {
	if err := tcp.CloseWrite(); err != nil {
		s.breaks("logout: %v", err)
		return
	}
	switch n, err := tcp.Read(s.buf[:]); {
	case n > 0:
		s.breaks("answer after logout")
	case !errors.Is(err, io.EOF):
		s.breaks("logout: %v", err)
	}
}

// close closes the connection, whoever ended the session.
func (s *Session) close() {
	if !s.over.Load() {
		s.end()
		s.conn.Close()
	}
}

// Reset ends the session as a killed process does: TCP sends RST, UDP nothing.
func (s *Session) Reset() {
	s.halt()
	if tcp, ok := s.conn.(*net.TCPConn); ok && !s.over.Load() {
		tcp.SetLinger(0)
	}
	s.close()
}

// Crash ends the session as a power cut does: nothing is sent. If something
// still comes for it, the kernel answers that with RST (TCP) or port
// unreachable (UDP), as a machine does that is up again. It needs root.
func (s *Session) Crash() error {
	s.halt()
	defer s.close()
	tcp, ok := s.conn.(*net.TCPConn)
	if !ok || s.over.Load() {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	ctlErr := raw.Control(func(fd uintptr) {
		// A socket under repair is closed without a FIN.
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	})
	if err == nil {
		err = ctlErr
	}
	if err != nil {
		return fmt.Errorf("crash: %w", err)
	}
	return nil
}

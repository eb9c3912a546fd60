package game

import (
	"net"
	"net/netip"
)

// serveStates answers UDP sessions, known by client address, until the socket
// is closed. An answer leaves from the address that the socket is bound to.
func (s *Server) serveStates(pc *net.UDPConn) {
	visits := map[netip.AddrPort]*visit{}
	in, out := make([]byte, 2*frameSize), make([]byte, 0, frameSize)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(in)
		if err != nil {
			return
		}
		client := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		f, err := parseFrame(in[:n])
		if err != nil {
			s.fault("udp", client, "%v", err)
			continue
		}
		answer := s.answerState(visits, client, f)
		if _, err := pc.WriteToUDPAddrPort(answer.appendTo(out), from); err != nil {
			s.fault("udp", client, "%v", err)
		}
	}
}

// answerState finds or begins the session of a request and answers it.
func (s *Server) answerState(visits map[netip.AddrPort]*visit, client netip.AddrPort, f frame) frame {
	v := visits[client]
	if v == nil || v.session != f.session {
		if v == nil {
			s.addState(1)
		}
		v = &visit{session: f.session}
		visits[client] = v
		s.log.add(Accept{Backend: s.name, Colour: s.colour, Network: "udp", Client: client})
	}
	answer, fault := s.answer(v, f)
	if fault != "" {
		s.fault("udp", client, "%s", fault)
	}
	if f.kind == bye {
		delete(visits, client)
		s.addState(-1)
	}
	return answer
}

// addState counts UDP sessions.
func (s *Server) addState(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	s.states += n
}

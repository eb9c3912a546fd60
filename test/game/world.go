package game

import (
	"errors"
	"net/netip"

	"github.com/ebbtide/ebbtide/test/lab"
)

// World is the game on all backends of a lab.
type World struct {
	// Log is what the backends accepted.
	Log AcceptLog
	// Servers are in the order of the lab's backends.
	Servers []*Server

	lab       *lab.Lab
	endpoints []Endpoint
}

// NewWorld serves the game on every backend of a lab, at endpoints given by
// their VIP. The caller closes it.
func NewWorld(l *lab.Lab, endpoints ...Endpoint) (*World, error) {
	w := &World{lab: l, endpoints: endpoints}
	for _, b := range l.Backends {
		if _, err := w.Serve(b); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// Serve starts the game on one more backend, with the world's endpoints.
func (w *World) Serve(b *lab.Backend) (*Server, error) {
	s := NewServer(b.Name, b.Colour, &w.Log)
	w.Servers = append(w.Servers, s)
	for _, e := range w.endpoints {
		at := netip.AddrPortFrom(b.Address(e.Addr.Addr()), e.Addr.Port())
		if err := s.Listen(b, Endpoint{e.Network, at}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Server is the server of that backend, or nil.
func (w *World) Server(backend string) *Server {
	for _, s := range w.Servers {
		if s.name == backend {
			return s
		}
	}
	return nil
}

// Faults are what all servers saw.
func (w *World) Faults() []string {
	var faults []string
	for _, s := range w.Servers {
		faults = append(faults, s.Faults()...)
	}
	return faults
}

// Open counts the sessions in progress by colour, by the servers' own sockets
// and state.
func (w *World) Open() map[string]int {
	colours := map[string]int{}
	for _, s := range w.Servers {
		tcp, udp := s.Open()
		colours[s.colour] += tcp + udp
	}
	return colours
}

// Close ends the servers, and with them the sessions that are left.
func (w *World) Close() error {
	var errs []error
	for _, s := range w.Servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

package model

import "net/netip"

// Session is the protocol of an entry that is no flow's but a client's: of all his flows into a service.
const Session = 255

// Affinity says whether the flows of one client belong together.
type Affinity uint8

// Affinities.
const (
	PerFlow   Affinity = iota
	PerClient          // on one backend
	PerPool            // in one generation
)

// hasSessions says whether the flows of a service are its clients'.
func (m *Model) hasSessions(service uint16, family int) bool {
	s := m.Services[service]
	return s != nil && s.Affinity != PerFlow && s.SessionVIP[family] != 0
}

func (s *Service) sessionKey(client netip.Addr) Key {
	return Key{Client: netip.AddrPortFrom(client, 0), VIP: s.SessionVIP[familyOf(client)]}
}

// join finds or begins the session that a new flow belongs to, and says where that is. given: it begins, and the
// limit on new flows was asked, unless the flow is moved. reason: nobody takes it.
func (m *Model) join(f *frame, l Listener, flowMoved bool) (backend uint16, given bool, reason string) {
	s, t := m.Services[l.Service], &m.tables[f.family]
	k := s.sessionKey(f.from.Addr())
	place := m.place(k)
	e := t.find(k, place)
	moved := false
	if e != nil && !m.expired(f.family, e) {
		switch {
		case m.leaves(f.family, e):
			moved = true
		case !m.capped(s, f.family, e):
			if e.State == Closing {
				m.counters(m.Backends[f.family][e.Backend].Generation).Rejoined++
				e.State, e.Fin = Young, false
			}
			e.Silence = 0
			return e.Backend, false, ""
		}
	}
	if m.isBusy(f, l.Service) {
		if moved {
			m.end(f.family, e, true)
		}
		return 0, false, "drop_busy"
	}
	if given = !moved && !flowMoved; given && !m.admits(f.from.Addr(), l.Service) {
		return 0, given, "drop_new_flows"
	}
	if e == nil {
		e = m.overShare(f.family, l.Service, place)
	}
	if e == nil {
		if e = m.room(f.family, place); e == nil {
			generation, to := m.steer(f, k, l.Service)
			backend, reason = m.unpinned(generation, to, l, false)
			return backend, given, reason
		}
	}
	left := e.Backend
	m.take(f.family, e)
	generation, backend := m.steer(f, k, l.Service)
	if backend == 0 {
		return 0, given, "drop_no_generation"
	}
	e.Key, e.Backend, e.State, e.LastHop = k, backend, HalfOpen, Hop{}
	m.countNew(f, generation, left, moved)
	m.countOverflow(f.family, e)
	return backend, given, ""
}

// capped: whatever drains has an end. A session there may be joined until so long after its first flow's end, or after
// the place began to drain.
func (m *Model) capped(s *Service, family int, e *Entry) bool {
	b := m.Backends[family][e.Backend]
	since := s.Flipped
	if b.Generation == s.Live || b.Generation == s.Candidate {
		if since = b.RetiredFor; !b.Retired {
			return false
		}
	}
	return e.Ended && min(e.EndedFor, since) > s.LingerCap
}

// renew: what a flow does is its session's doing, unless that has gone over to another generation.
func (m *Model) renew(family int, flow Entry) {
	b := m.Backends[family][flow.Backend]
	if !m.hasSessions(b.Service, family) {
		return
	}
	k := m.Services[b.Service].sessionKey(flow.Key.Client.Addr())
	e := m.tables[family].find(k, m.place(k))
	if e == nil || e.State == Evicting || m.Backends[family][e.Backend].Generation != b.Generation {
		return
	}
	switch flow.State {
	case Closing, Evicting, "":
		e.Ended = true
		return
	case HalfOpen:
		if e.State == Closing {
			e.State = HalfOpen
		}
	case Young:
		if e.State != Established {
			e.State = Young
		}
	case Established:
		e.State = Established
	}
	e.Silence = 0
}

// linger: none of a session's flows was seen since the sweep before.
func (m *Model) linger(family int, e *Entry) {
	if e.State != Closing && e.State != Evicting && e.silence() > 0 {
		m.over(family, e)
		e.State, e.Fin, e.Ended = Closing, false, true
	}
}

// joined is where a flow of a session goes: to its backend, or to one of its generation. Where there is no session, or
// nobody left in its generation, it goes as any other.
func (m *Model) joined(f *frame, k Key, service, session uint16) (generation, backend uint16) {
	generation, backend = m.steer(f, k, service)
	if session == 0 {
		return generation, backend
	}
	of := m.Backends[f.family][session].Generation
	if m.Services[service].Affinity == PerPool {
		if session = m.pick(of, f.family, k); session == 0 {
			return generation, backend
		}
	}
	return of, session
}

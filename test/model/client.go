package model

func (m *Model) fromClient(f *frame, l Listener) Result {
	if martian(f.from.Addr(), f.to.Addr()) {
		return m.drop("drop_martian")
	}
	e, id, reason := m.serve(f, l)
	switch reason {
	case "":
	case resetBackend, resetClient:
		return m.reset(f, l, id, reason)
	case "drop_busy":
		return m.tellBusy(f, l.Service)
	default:
		return m.drop(reason)
	}
	k := Key{Client: f.from, Port: f.to.Port(), VIP: l.VIP}
	if f.fragment.first {
		m.note(f, noted{backend: id, established: e != nil && e.State == Established})
	}
	b := m.Backends[f.family][id]
	m.clampSYN(f, b)
	return m.forward(f, b, uint32(m.placeHash(k)), true)
}

// serve finds the backend of a client's packet, or why there is none.
func (m *Model) serve(f *frame, l Listener) (e *Entry, backend uint16, reason string) {
	t := &m.tables[f.family]
	k := Key{Client: f.from, Port: f.to.Port(), VIP: l.VIP}
	place := m.place(k)
	e = t.find(k, place)
	moved := false
	if e != nil && !m.expired(f.family, e) {
		switch {
		case m.leaves(f.family, e) && f.proto == TCP && !f.opens():
			return e, e.Backend, m.depart(f, e)
		case m.leaves(f.family, e):
			moved = !e.wasReset()
		case !m.startsAnew(f, e):
			m.touch(f, e, l.Forwarding)
			return e, e.Backend, ""
		}
	}
	if l.Closed {
		return nil, 0, "drop_listener_closed"
	}
	if _, known := m.cameBy(f); l.Forwarding == NAT && !known {
		return nil, 0, "drop_other_vlan"
	}
	session, given := uint16(0), moved
	if m.hasSessions(l.Service, f.family) {
		session, given, reason = m.join(f, l, moved)
		if reason == "drop_busy" && moved {
			m.end(f.family, e, false)
		}
		if reason != "" {
			return nil, 0, reason
		}
		given = given || moved
		e = t.find(k, place) // the session may have taken its slot
	}
	if session == 0 && m.isBusy(f, l.Service) {
		if moved {
			m.end(f.family, e, !m.hasSessions(l.Service, f.family))
		}
		return nil, 0, "drop_busy"
	}
	if !given && !m.admits(f.from.Addr(), l.Service) {
		return nil, 0, "drop_new_flows"
	}
	if e == nil && f.flags&(FIN|RST) == 0 {
		e = m.overShare(f.family, l.Service, place)
	}
	if e == nil {
		if e = m.room(f.family, place); e == nil {
			generation, to := m.joined(f, k, l.Service, session)
			backend, reason = m.unpinned(generation, to, l, f.opens())
			return nil, backend, reason
		}
	}
	return m.pin(f, l, k, e, session, moved)
}

// touch is a client's packet on its pin.
func (m *Model) touch(f *frame, e *Entry, mode Forwarding) {
	if f.opens() && e.State != HalfOpen {
		m.counters(m.Backends[f.family][e.Backend].Generation).Reopened++
		return
	}
	before := *e
	m.troubled(f, e, false)
	if f.opens() {
		e.Silence = 0
	} else {
		e.packet(f, false, mode)
	}
	if before.End = e.End; *e == before {
		return
	}
	m.renew(f.family, *e)
	// About once a second: not with a packet that changes nothing else, nor from where no reply would find.
	if _, known := m.cameBy(f); known && mode == NAT {
		e.LastHop = m.lastHop(f)
	}
}

// take makes a slot somebody's who is not there yet.
func (m *Model) take(family int, e *Entry) {
	m.over(family, e)
	*e = Entry{Claims: e.Claims, LastHop: e.LastHop}
	if family == V6 {
		e.Claims = (e.Claims + 1) % (1 << 14)
	}
}

// pin begins an entry in a slot, whatever was in it before. session: the backend of the session that the flow is of, or 0.
func (m *Model) pin(f *frame, l Listener, k Key, e *Entry, session uint16, moved bool) (*Entry, uint16, string) {
	left := e.Backend
	m.take(f.family, e)
	generation, backend := m.joined(f, k, l.Service, session)
	if backend == 0 {
		return nil, 0, "drop_no_generation"
	}
	e.Key, e.Backend, e.LastHop = k, backend, Hop{}
	if l.Forwarding == NAT { // no reply comes by here otherwise
		e.LastHop = m.lastHop(f)
	}
	e.begin(f)
	if session == 0 {
		m.countNew(f, generation, left, moved)
	}
	m.countOverflow(f.family, e)
	return e, backend, ""
}

// countNew counts a session that has begun, and one that was taken from elsewhere.
func (m *Model) countNew(f *frame, generation, left uint16, moved bool) {
	if moved {
		m.counters(m.Backends[f.family][left].Generation).Moved++
	}
	if f.midstream() {
		m.counters(generation).Orphans++
	} else {
		m.counters(generation).New++
	}
}

func (m *Model) countOverflow(family int, e *Entry) {
	if m.tables[family].inOverflow(e) {
		m.Reasons["event_overflow"]++
	}
}

// unpinned is a packet, or a session, for which the table has no room.
func (m *Model) unpinned(generation, backend uint16, l Listener, opens bool) (uint16, string) {
	switch {
	case backend == 0:
		return 0, "drop_no_generation"
	case l.Forwarding == NAT, m.Services[l.Service].Draining && opens:
		return 0, "drop_table_full"
	}
	m.counters(generation).Unpinned++
	m.Reasons["event_unpinned"]++
	return backend, ""
}

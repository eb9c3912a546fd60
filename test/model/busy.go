package model

// isBusy says whether a packet that begins a session gets its service's busy answer. Testers never do.
func (m *Model) isBusy(f *frame, service uint16) bool {
	s := m.Services[service]
	return s != nil && s.Busy && !f.midstream() && !s.tests(f.from.Addr())
}

// tellBusy: TCP as a closed port does, and UDP too, or both by ICMP alone. An error names the flow by the least quote.
func (m *Model) tellBusy(f *frame, service uint16) Result {
	if !m.Limits.Busy.take() {
		return m.drop("drop_busy")
	}
	byICMP := m.Services[service].BusyICMP
	if f.proto == TCP && !byICMP {
		m.Reasons["event_busy"]++
		return f.refused()
	}
	plain := [2]int{20, 40}[f.family]
	if f.l4-f.ip != plain {
		return m.drop("drop_busy")
	}
	m.Reasons["event_busy"]++
	switch {
	case f.family == V4 && byICMP:
		return f.error(plain+8, 3, 13, 0)
	case f.family == V4:
		return f.error(plain+8, 3, 3, 0)
	case byICMP:
		return f.error(plain+8, 1, 1, 0)
	}
	return f.error(plain+8, 1, 4, 0)
}

// end is that of an entry which leaves its backend, and nobody takes it.
func (m *Model) end(family int, e *Entry, counts bool) {
	if counts {
		m.counters(m.Backends[family][e.Backend].Generation).Moved++
	}
	*e = Entry{Claims: e.Claims, LastHop: e.LastHop}
}

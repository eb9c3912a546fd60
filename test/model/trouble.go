package model

// Troubles are what went wrong with the sessions of a generation.
type Troubles struct{ NeverEstablished, Resets, SYNRetransmits uint64 }

// over counts an entry that is half-open no more, and got no further. Where clients have sessions its flows are none.
func (m *Model) over(family int, e *Entry) {
	if e.State != HalfOpen {
		return
	}
	b := m.Backends[family][e.Backend]
	if m.VIPs[e.Key.VIP].Proto == Session || m.Services[b.Service].Affinity == PerFlow {
		m.counters(b.Generation).NeverEstablished++
	}
}

// troubled counts what a packet tells of the entry that it meets.
func (m *Model) troubled(f *frame, e *Entry, answer bool) {
	n := m.counters(m.Backends[f.family][e.Backend].Generation)
	switch opens := f.opens() && !answer; {
	case opens && e.State == HalfOpen:
		n.SYNRetransmits++
	case !opens && f.flags&(FIN|RST) == RST && e.State != Closing:
		n.Resets++
		m.over(f.family, e)
	}
}

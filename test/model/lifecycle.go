package model

import "net/netip"

// State of an entry. The zero State is a free slot.
type State string

// States.
const (
	HalfOpen    State = "half-open"
	Young       State = "young"
	Established State = "established"
	Closing     State = "closing"
	Evicting    State = "evicting" // to be moved by an operator's word; with Fin a RST was sent
)

// Ages, in ticks.
const (
	ageEstablished = 10
	ageMax         = 15
)

// Key is what tells a flow from all others.
type Key struct {
	Client netip.AddrPort
	Port   uint16
	VIP    uint16
}

// Hop is where a client's packets come from.
type Hop struct {
	MAC MAC
	Way Way
}

// Entry is a pin.
type Entry struct {
	Key      Key
	State    State
	Backend  uint16
	Fin      bool   // a FIN was seen, and nothing that refutes it
	Age      int64  // ticks that its traffic has spanned
	Silence  int64  // ticks since its last packet; less than 0: another CPU's clock was ahead
	End      uint32 // sequence number after the SYN or the FIN
	Ended    bool   // of a session: one of its flows has ended
	EndedFor int64  // ticks since the first did
	LastHop  Hop    // stays when the slot is freed: fragments of answers that are under way follow it
	Claims   uint16 // IPv6: how often the slot was taken; outlives the entry
}

func (e *Entry) silence() int64 { return max(0, e.Silence) }

// begin is the flow's first packet.
func (e *Entry) begin(f *frame) {
	e.State, e.End = HalfOpen, f.endSeq()
	if f.flags&(FIN|RST) != 0 {
		e.State = Closing
	}
	e.Fin = f.flags&FIN != 0
}

// expired: an entry that was silent for longer than its timeout is no pin.
func (m *Model) expired(family int, e *Entry) bool {
	s := m.Services[m.Backends[family][e.Backend].Service]
	state := e.State
	if e.wasReset() {
		state = Closing
	}
	return e.silence() > s.Timeouts.of(m.VIPs[e.Key.VIP].Proto, state)
}

func (t Timeouts) of(proto uint8, s State) int64 {
	switch {
	case proto == Session:
		return t.Linger
	case proto == UDP && s == HalfOpen:
		return t.UDPNew
	case proto == UDP:
		return t.UDP
	case s == HalfOpen:
		return t.TCPHalfOpen
	case s == Closing:
		return t.TCPClosing
	}
	return t.TCP
}

// startsAnew says whether a packet begins another session, so that the entry is not its pin.
func (m *Model) startsAnew(f *frame, e *Entry) bool {
	if !f.opens() {
		return false
	}
	switch e.State {
	case HalfOpen:
		return e.End != f.endSeq() // one sent again has the same number
	case Closing:
		return true
	}
	return e.silence() >= m.Services[m.Backends[f.family][e.Backend].Service].ReuseAfter
}

// packet is one of the entry's own, other than a client's SYN.
func (e *Entry) packet(f *frame, answer bool, mode Forwarding) {
	switch {
	case f.flags&FIN != 0:
		e.grow(mode)
		e.State, e.Fin, e.End = Closing, true, f.endSeq()
	case f.flags&RST != 0:
		if e.State != Closing {
			e.grow(mode)
			e.State, e.Fin = Closing, false
		}
	case f.flags&SYN == 0:
		e.traffic(f, answer, mode)
	}
	e.Silence = 0
}

func (e *Entry) traffic(f *frame, answer bool, mode Forwarding) {
	switch {
	case e.Fin && f.payload > 0 && int32(f.seq-e.End) >= 0:
		e.Fin = false // data from behind the FIN: it was forged
	case e.Fin && f.payload == 0 && (f.seq == e.End || f.ack == e.End):
		e.State = Closing // confirms the FIN
		return
	}
	switch e.State {
	case HalfOpen:
		if !answer {
			e.State = Young
		}
	case Closing:
		e.State = Young
		if e.Age >= ageEstablished {
			e.State = Established
		}
	default:
		e.grow(mode)
		if answer {
			e.State = Established
		}
	}
}

// grow adds the silence that a packet ends to the age. In nat only the backend's answer makes a flow established.
func (e *Entry) grow(mode Forwarding) {
	e.Age = min(ageMax, e.Age+e.silence())
	if e.State == Young && e.Age >= ageEstablished && mode != NAT {
		e.State = Established
	}
}

// Elapse lets time pass.
func (m *Model) Elapse(ticks int64) {
	for f := range m.tables {
		for i := range m.tables[f].slots {
			if e := &m.tables[f].slots[i]; e.State != "" {
				e.Silence += ticks
				if e.Ended {
					e.EndedFor += ticks
				}
			}
		}
	}
	for _, s := range m.Services {
		s.Flipped += ticks
	}
	for _, backends := range m.Backends {
		for _, b := range backends {
			if b.Retired {
				b.RetiredFor += ticks
			}
		}
	}
	for _, b := range m.Buckets {
		b.Idle = (b.Idle + ticks) & idleMost
	}
	for _, line := range m.Fragments {
		for i := range line {
			if line[i].Key != 0 {
				line[i].Where.Age = min(4000, line[i].Where.Age+ticks)
			}
		}
	}
}

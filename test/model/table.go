package model

import "encoding/binary"

const (
	lineSlots    = 4
	mainLines    = 4 // of a flow: two, and the neighbour of each
	overflowSpan = 4
)

// table is where the entries of a family lie. A flow may lie in eight lines only, four of them in the overflow, and what
// makes room for it when they are full follows from that.
type table struct {
	slots []Entry
	lines uint32
	over  uint32
}

func newTable(lines, overflow uint32) table {
	return table{make([]Entry, (lines+overflow)*lineSlots), lines, overflow}
}

func (t *table) line(i uint32) []Entry { return t.slots[i*lineSlots : (i+1)*lineSlots] }

func (t *table) inOverflow(e *Entry) bool { return t.slotOf(e) >= int(t.lines*lineSlots) }

func (t *table) slotOf(e *Entry) int {
	for i := range t.slots {
		if e == &t.slots[i] {
			return i
		}
	}
	return -1
}

// place lists the lines in which a flow may lie, best first.
func (m *Model) place(k Key) (lines [mainLines + overflowSpan]uint32) {
	h := m.placeHash(k)
	t := &m.tables[familyOf(k.Client.Addr())]
	share := func(x uint64, n uint32) uint32 { return uint32((x & 0xffffffff) * uint64(n) >> 32) }
	first, second := share(h, t.lines), share(h>>32, t.lines)
	window := t.lines + share(h*0x94d049bb133111eb>>32, t.over/overflowSpan)*overflowSpan
	lines = [...]uint32{first, first ^ 1, second, second ^ 1, window, window + 1, window + 2, window + 3}
	return lines
}

// placeHash is the hash that differs by host. It knows the VIP, which the steering hash does not.
func (m *Model) placeHash(k Key) uint64 {
	mix := func(x, word, factor uint64) uint64 {
		x = (x ^ word) * factor
		return x ^ x>>32
	}
	const odd, last = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9
	ports := wireWord(k.Client.Port(), k.Port)
	if a := k.Client.Addr(); a.Is4() {
		b := a.As4()
		word := uint64(binary.LittleEndian.Uint32(b[:]))<<32 | ports
		return mix(mix(m.Seed, word+uint64(k.VIP), odd), m.Seed, last)
	}
	a := addressWords(k.Client.Addr())
	h := mix(mix(m.Seed, a[0], odd), a[1], last)
	return mix(mix(h, ports<<32|uint64(k.VIP), odd), m.Seed, last)
}

func (t *table) find(k Key, lines [8]uint32) *Entry {
	for _, i := range lines {
		for s, e := range t.line(i) {
			if e.State != "" && e.Key == k {
				return &t.line(i)[s]
			}
		}
	}
	return nil
}

// room is the slot that a new flow takes, or nil. What it replaces is counted.
func (m *Model) room(family int, lines [8]uint32) *Entry {
	t := &m.tables[family]
	if e := t.free(lines); e != nil {
		return e
	}
	if e := m.victim(family, lines[:mainLines]); e != nil {
		return e
	}
	for _, i := range lines[mainLines:] {
		for s, e := range t.line(i) {
			if e.State == "" {
				return &t.line(i)[s]
			}
		}
	}
	return m.victim(family, lines[mainLines:])
}

// free is a free slot of the flow's main lines: of its first line while that has two; then of the emptier pair of lines,
// and in it of the emptier line, but of the first line to its end while its pair is half full at most.
func (t *table) free(lines [8]uint32) (best *Entry) {
	used := func(i int) (n int) {
		for _, e := range t.line(lines[i]) {
			if e.State != "" {
				n++
			}
		}
		return n
	}
	least := [3]int{lineSlots*2 + 1}
	for i := range mainLines {
		n, pair := used(i), used(i)+used(i^1)
		rank := [3]int{pair, n, i}
		switch {
		case i == 0 && n < lineSlots-1:
			rank = [3]int{-1}
		case i == 0 && pair <= lineSlots:
			rank[1] = 0
		}
		if n < lineSlots && less(rank, least) {
			best, least = lastFree(t.line(lines[i])), rank
		}
	}
	return best
}

func less(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func lastFree(line []Entry) (e *Entry) {
	for s := range line {
		if line[s].State == "" {
			e = &line[s]
		}
	}
	return e
}

// victim is who makes room: expired, closing, the most silent half-open, the most silent young. Established flows never.
func (m *Model) victim(family int, lines []uint32) (best *Entry) {
	bestClass := never
	for _, i := range lines {
		for s := range m.tables[family].line(i) {
			e := &m.tables[family].line(i)[s]
			c := class(e.State)
			if m.expired(family, e) {
				c = 0
			}
			if c < bestClass || c == bestClass && 0 < c && c < never && e.silence() > best.silence() {
				best, bestClass = e, c
			}
		}
	}
	if 0 < bestClass && bestClass < never {
		m.Reasons[[...]string{1: "event_replaced_closing", 2: "event_replaced_half_open", 3: "event_replaced_young"}[bestClass]]++
	}
	return best
}

// never is the class of what makes no room.
const never = 4

func class(s State) int {
	switch s {
	case Closing:
		return 1
	case HalfOpen:
		return 2
	case Young:
		return 3
	}
	return never
}

// Slots are the entries of a family's table, free ones too, in the order in which they lie.
func (m *Model) Slots(family int) []Entry { return m.tables[family].slots }

// Sweep is what one pass over all slots found.
type Sweep struct {
	Used, Freed, Overflow [2]uint64
	Sessions              map[uint16]map[State]uint32 // by backend
	Flows                 map[uint16]uint32           // the same
	VIPs, Listeners       map[uint16]uint64
}

// Sweep frees what has expired and counts what lives.
func (m *Model) Sweep() Sweep {
	out := Sweep{Sessions: map[uint16]map[State]uint32{}, Flows: map[uint16]uint32{}, VIPs: map[uint16]uint64{}, Listeners: map[uint16]uint64{}}
	for f := range m.tables {
		for i := range m.tables[f].slots {
			e := &m.tables[f].slots[i]
			switch {
			case e.State == "":
			case m.expired(f, e):
				was := *e
				m.over(f, e)
				*e = Entry{Claims: e.Claims, LastHop: e.LastHop}
				if out.Freed[f]++; m.VIPs[was.Key.VIP].Proto != Session {
					was.State = ""
					m.renew(f, was)
				}
			default:
				m.count(&out, f, e)
			}
		}
	}
	return out
}

func (m *Model) count(out *Sweep, family int, e *Entry) {
	out.Used[family]++
	if m.tables[family].inOverflow(e) {
		out.Overflow[family]++
	}
	v := m.VIPs[e.Key.VIP]
	if out.VIPs[e.Key.VIP]++; v.Proto == Session {
		m.linger(family, e)
		out.session(e)
		return
	}
	out.Flows[e.Backend]++
	if m.Services[m.Backends[family][e.Backend].Service].Affinity == PerFlow {
		out.session(e)
	}
	m.renew(family, *e)
	id := v.Listener
	if id == 0 {
		l, _ := m.listener(Socket{v.Addr, e.Key.Port, v.Proto})
		id = l.ID
	}
	out.Listeners[id]++
}

func (s *Sweep) session(e *Entry) {
	if s.Sessions[e.Backend] == nil {
		s.Sessions[e.Backend] = map[State]uint32{}
	}
	state := e.State
	if e.wasReset() {
		state = Closing
	}
	s.Sessions[e.Backend][state]++
}

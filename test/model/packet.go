package model

import "slices"

// Verdict is what becomes of a frame.
type Verdict string

// Verdicts. Transmit leaves on the interface that the frame came in on.
const (
	Pass     Verdict = "XDP_PASS"
	Drop     Verdict = "XDP_DROP"
	Transmit Verdict = "XDP_TX"
	Redirect Verdict = "XDP_REDIRECT"
)

// Result of a packet. Out is what leaves, or what the kernel's stack sees; nothing of a drop.
type Result struct {
	Verdict Verdict
	Out     []byte
	AnyID   int // where in Out an IPv4 header lies whose identification may be any; 0: nowhere
}

// Counters of a generation.
type Counters struct {
	Sent
	Troubles
	New, Orphans, Reopened, Unpinned, Moved, Rejoined uint64
}

// Sent is what went from clients to backends.
type Sent struct{ Packets, Bytes uint64 }

// Model is a data plane.
type Model struct {
	Config
	Reasons     map[string]uint64
	Generations map[uint16]*Counters
	Sent        map[uint16]*Sent // by backend id
	Fragments   fragments
	Buckets     map[prefix]*Bucket
	tables      [2]table
}

// New is a data plane that has seen nothing yet.
func New(c Config) *Model {
	m := &Model{
		Config: c, Reasons: map[string]uint64{}, Generations: map[uint16]*Counters{}, Sent: map[uint16]*Sent{},
		Fragments: fragments{}, Buckets: map[prefix]*Bucket{},
	}
	for f := range m.tables {
		m.tables[f] = newTable(c.Lines[f], c.Overflow[f])
	}
	return m
}

func (m *Model) counters(generation uint16) *Counters {
	c := m.Generations[generation]
	if c == nil {
		c = &Counters{}
		m.Generations[generation] = c
	}
	return c
}

func (m *Model) sentTo(backend uint16) *Sent {
	s := m.Sent[backend]
	if s == nil {
		s = &Sent{}
		m.Sent[backend] = s
	}
	return s
}

func (m *Model) pass(in []byte, reason string) Result {
	m.Reasons[reason]++
	return Result{Verdict: Pass, Out: in}
}

func (m *Model) drop(reason string) Result {
	m.Reasons[reason]++
	return Result{Verdict: Drop}
}

// Packet is a frame that comes in on an interface. in is not changed.
func (m *Model) Packet(iface uint32, in []byte) Result {
	f, fault := read(slices.Clone(in))
	f.in, f.iface = in, iface
	if fault == cutTags {
		return m.pass(in, "pass_not_ip")
	}
	if MAC(in[:6]) != m.Ifaces[iface].MAC {
		return m.pass(in, "pass_other_mac")
	}
	switch fault {
	case notIP:
		return m.pass(in, "pass_not_ip")
	case badIP:
		return m.pass(in, "pass_malformed")
	case foreign:
		return m.pass(in, "pass_not_ours")
	case control:
		return m.control(&f)
	case headless:
		return m.laterFragment(&f)
	case malformed:
		return m.unreadable(&f, "drop_malformed")
	}
	if l, ok := m.listener(Socket{f.to.Addr(), f.to.Port(), f.proto}); ok {
		return m.fromClient(&f, l)
	}
	if r, ok := m.reply(Socket{f.from.Addr(), f.from.Port(), f.proto}); ok {
		return m.fromBackend(&f, r)
	}
	return m.pass(in, "pass_not_ours")
}

// unreadable is ours when its VIP has listeners: in IPv4 of its protocol, in IPv6, where that may lie behind what can't be
// read, of any.
func (m *Model) unreadable(f *frame, reason string) Result {
	to := f.to.Addr()
	if f.family == V4 && m.HasListeners(to, f.proto) || f.family == V6 && m.isVIP(to) {
		return m.drop(reason)
	}
	return m.pass(f.in, "pass_not_ours")
}

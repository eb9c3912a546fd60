package maps

import (
	"math"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/ebbtide/ebbtide/bpf"
)

// Timeouts of a service, in ticks, in the order of enum timeout.
type Timeouts [6]uint32

// For is the timeout that counts for a flow, as timeout_of() of the program says.
func (t Timeouts) For(p Protocol, s FlowState) uint32 {
	switch {
	case p == ProtocolSession:
		return t[Linger]
	case p != ProtocolTCP && s == HalfOpen:
		return t[UDPNew]
	case p != ProtocolTCP:
		return t[UDP]
	case s == HalfOpen:
		return t[TCPHalfOpen]
	case s == Closing:
		return t[TCPClosing]
	}
	return t[TCP]
}

// Which timeout is which.
const (
	TCPHalfOpen = bpf.ProgramTimeoutTIMEOUT_TCP_HALF_OPEN
	TCP         = bpf.ProgramTimeoutTIMEOUT_TCP
	TCPClosing  = bpf.ProgramTimeoutTIMEOUT_TCP_CLOSING
	UDPNew      = bpf.ProgramTimeoutTIMEOUT_UDP_NEW
	UDP         = bpf.ProgramTimeoutTIMEOUT_UDP
	Linger      = bpf.ProgramTimeoutTIMEOUT_LINGER
)

// BackendUse says whether a backend is in its pool.
type BackendUse = bpf.ProgramBackendUse

const (
	InPool  = bpf.ProgramBackendUseBACKEND_IN_POOL
	Removed = bpf.ProgramBackendUseBACKEND_REMOVED // keeps its sessions, gets no new ones
	Resting = bpf.ProgramBackendUseBACKEND_RESTING // as Removed, but in its pool, and for a time
)

// Backend is one real server in one family. Its id means the same server in both.
type Backend struct {
	Addr       netip.Addr
	Port       uint16 // nat: 0 keeps the packet's
	Generation uint16 // index
	Service    uint16 // index
	Forwarding Forwarding
	Weight     uint16
	Use        BackendUse
	Outer      Family // ipip: of the header that goes before the packet, and of Addr
}

// Hop is where a backend's packets leave: a resolved next hop. The zero Hop is an unresolved one.
type Hop struct {
	IfIndex        uint32
	SrcMAC, DstMAC [6]byte
	Tags           Tags   // that the frame carries
	Room           uint16 // largest packet that the way takes, IP header included, in bytes; 0: any
}

// PutBackend writes a backend that nothing names yet, unresolved, its use last: one that a killed daemon left half
// written is free. The id must not be in use by any flow. Low ids have a counter of their own.
func (t *Tables) PutBackend(f Family, id uint16, b Backend) {
	e := &t.backends[f][id]
	*e = bpf.ProgramBackend{
		Addr: wireAddr(b.Addr), Port: wirePort(b.Port), Generation: b.Generation, Service: b.Service, Weight: b.Weight,
		Forwarding: uint8(b.Forwarding), Outer: uint8(b.Outer),
	}
	if int(id) < OwnCounters {
		e.Counted = 1
	}
	e.Used = uint8(b.Use)
}

// NoteBackend changes the weight and use of a backend that flows may be pinned to. New flows follow the Maglev table. Of a
// backend that takes none the data plane knows since which tick that is so: the cap of its clients' sessions counts.
func (t *Tables) NoteBackend(f Family, id uint16, weight uint16, use BackendUse, now uint32) {
	b := &t.backends[f][id]
	if weight != 0 && use == InPool {
		atomic.StoreUint32(&b.Retired, 0)
	} else if b.Retired == 0 {
		atomic.StoreUint32(&b.Retired, max(1, now))
	}
	storeMAC(unsafe.Pointer(&b.SrcMac), b.SrcMac, weight)
	b.Used = uint8(use)
}

// Retired is the tick since which a backend takes no new sessions, 0 while it does.
func (t *Tables) Retired(f Family, id uint16) uint32 {
	return atomic.LoadUint32(&t.backends[f][id].Retired)
}

// RemoveBackend frees an id. No flow may be pinned to it, no Maglev table name it, and FoldCounts has taken what it counted.
func (t *Tables) RemoveBackend(f Family, id uint16) { t.backends[f][id] = bpf.ProgramBackend{} }

// SetHop changes a backend's next hop in place. A changed destination MAC is one store. When the interface, its MAC
// or the tags change too, the backend is unresolved for the few nanoseconds between, so that no frame has half of each.
func (t *Tables) SetHop(f Family, id uint16, h Hop) {
	b := &t.backends[f][id]
	dst, src := unsafe.Pointer(&b.DstMac), unsafe.Pointer(&b.SrcMac)
	if h == (Hop{}) {
		storeMAC(dst, [6]byte{}, uint16(bpf.ProgramBackendStateBACKEND_UNRESOLVED))
		return
	}
	if b.Ifindex != h.IfIndex || b.SrcMac != h.SrcMAC || hostTags(b.Tags) != h.Tags {
		storeMAC(dst, [6]byte{}, uint16(bpf.ProgramBackendStateBACKEND_UNRESOLVED))
		storeMAC(src, h.SrcMAC, b.Weight)
		atomic.StoreUint32(&b.Ifindex, h.IfIndex)
		storeTags(&b.Tags, h.Tags)
	}
	if b.Room = h.Room; h.Room == 0 {
		b.Room = math.MaxUint16
	}
	storeMAC(dst, h.DstMAC, uint16(bpf.ProgramBackendStateBACKEND_RESOLVED))
}

// LoseBackend says that a backend is gone and that its sessions are to move. One store; the next SetHop takes it back.
func (t *Tables) LoseBackend(f Family, id uint16) {
	b := &t.backends[f][id]
	storeMAC(unsafe.Pointer(&b.DstMac), b.DstMac, uint16(bpf.ProgramBackendStateBACKEND_LOST))
}

// Lost says whether LoseBackend was the last word on a backend.
func (t *Tables) Lost(f Family, id uint16) bool {
	return t.backends[f][id].State == uint16(bpf.ProgramBackendStateBACKEND_LOST)
}

// Hop reads a backend's next hop, and whether it is resolved.
func (t *Tables) Hop(f Family, id uint16) (Hop, bool) {
	b := &t.backends[f][id]
	h := Hop{IfIndex: b.Ifindex, SrcMAC: b.SrcMac, DstMAC: b.DstMac, Room: b.Room, Tags: hostTags(b.Tags)}
	if b.Room == math.MaxUint16 {
		h.Room = 0
	}
	return h, b.State == uint16(bpf.ProgramBackendStateBACKEND_RESOLVED)
}

// Backends lists the backends of a family in the kernel by id.
func (t *Tables) Backends(f Family) map[uint16]Backend {
	out := map[uint16]Backend{}
	for id := range t.backends[f] {
		if b, used := t.Backend(f, uint16(id)); used {
			out[uint16(id)] = b
		}
	}
	return out
}

// Backend reads one backend, and whether there is one of this id.
func (t *Tables) Backend(f Family, id uint16) (Backend, bool) {
	e := &t.backends[f][id]
	if e.Used == 0 {
		return Backend{}, false
	}
	family := f
	if Forwarding(e.Forwarding) == IPIP {
		family = Family(e.Outer)
	}
	return Backend{
		Addr: hostAddr(family, e.Addr), Port: wirePort(e.Port), Generation: e.Generation, Service: e.Service,
		Forwarding: Forwarding(e.Forwarding), Weight: e.Weight, Use: BackendUse(e.Used), Outer: Family(e.Outer),
	}, true
}

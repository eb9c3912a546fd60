package maps

import (
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/ebbtide/ebbtide/bpf"
)

// Timeouts of a service, in ticks, in the order of enum timeout.
type Timeouts [5]uint32

// For is the timeout that counts for a flow, as timeout_of() of the program says.
func (t Timeouts) For(p Protocol, s FlowState) uint32 {
	switch {
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
)

// BackendUse says whether a backend is in its pool.
type BackendUse = bpf.ProgramBackendUse

const (
	InPool  = bpf.ProgramBackendUseBACKEND_IN_POOL
	Removed = bpf.ProgramBackendUseBACKEND_REMOVED // keeps its sessions, gets no new ones
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
	Timeouts   Timeouts
}

// Hop is where a backend's packets leave: a resolved next hop. The zero Hop is an unresolved one.
type Hop struct {
	IfIndex        uint32
	SrcMAC, DstMAC [6]byte
}

// PutBackend writes a backend that nothing names yet, unresolved, its use last: one that a killed daemon left half
// written is free. The id must not be in use by any flow.
func (t *Tables) PutBackend(f Family, id uint16, b Backend) {
	e := &t.backends[f][id]
	*e = bpf.ProgramBackend{
		Addr: wireAddr(b.Addr), Port: wirePort(b.Port), Generation: b.Generation, Service: b.Service, Weight: b.Weight,
		Forwarding: uint8(b.Forwarding), Timeouts: b.Timeouts,
	}
	e.Used = uint8(b.Use)
}

// NoteBackend changes what the data plane never reads of a backend that flows may be pinned to: its weight and use. New
// flows follow the Maglev table.
func (t *Tables) NoteBackend(f Family, id uint16, weight uint16, use BackendUse) {
	b := &t.backends[f][id]
	storeMAC(unsafe.Pointer(&b.SrcMac), b.SrcMac, weight)
	b.Used = uint8(use)
}

// RemoveBackend frees an id. No flow may be pinned to it, and no Maglev table name it.
func (t *Tables) RemoveBackend(f Family, id uint16) { t.backends[f][id] = bpf.ProgramBackend{} }

// SetTimeouts changes a backend's timeouts in place, one store each.
func (t *Tables) SetTimeouts(f Family, id uint16, timeouts Timeouts) {
	for i, v := range timeouts {
		atomic.StoreUint32(&t.backends[f][id].Timeouts[i], v)
	}
}

// SetHop changes a backend's next hop in place. A changed destination MAC is one store. When the interface or its MAC
// changes too, the backend is unresolved for the few nanoseconds between, so that no frame has half of each.
func (t *Tables) SetHop(f Family, id uint16, h Hop) {
	b := &t.backends[f][id]
	dst, src := unsafe.Pointer(&b.DstMac), unsafe.Pointer(&b.SrcMac)
	if h == (Hop{}) {
		storeMAC(dst, [6]byte{}, uint16(bpf.ProgramBackendStateBACKEND_UNRESOLVED))
		return
	}
	if b.Ifindex != h.IfIndex || b.SrcMac != h.SrcMAC {
		storeMAC(dst, [6]byte{}, uint16(bpf.ProgramBackendStateBACKEND_UNRESOLVED))
		storeMAC(src, h.SrcMAC, b.Weight)
		atomic.StoreUint32(&b.Ifindex, h.IfIndex)
	}
	storeMAC(dst, h.DstMAC, uint16(bpf.ProgramBackendStateBACKEND_RESOLVED))
}

// Hop reads a backend's next hop, and whether it is resolved.
func (t *Tables) Hop(f Family, id uint16) (Hop, bool) {
	b := &t.backends[f][id]
	return Hop{IfIndex: b.Ifindex, SrcMAC: b.SrcMac, DstMAC: b.DstMac}, b.State == uint16(bpf.ProgramBackendStateBACKEND_RESOLVED)
}

// Backends lists the backends of a family in the kernel by id.
func (t *Tables) Backends(f Family) map[uint16]Backend {
	out := map[uint16]Backend{}
	for i := range t.backends[f] {
		if e := &t.backends[f][i]; e.Used != 0 {
			out[uint16(i)] = Backend{
				Addr: hostAddr(f, e.Addr), Port: wirePort(e.Port), Generation: e.Generation, Service: e.Service,
				Forwarding: Forwarding(e.Forwarding), Weight: e.Weight, Use: BackendUse(e.Used), Timeouts: e.Timeouts,
			}
		}
	}
	return out
}

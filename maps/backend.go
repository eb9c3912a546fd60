package maps

import (
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/ebbtide/ebbtide/bpf"
)

// Timeouts of a service, in ticks, in the order of enum timeout.
type Timeouts [5]uint32

// Which timeout is which.
const (
	TCPHalfOpen = bpf.ProgramTimeoutTIMEOUT_TCP_HALF_OPEN
	TCP         = bpf.ProgramTimeoutTIMEOUT_TCP
	TCPClosing  = bpf.ProgramTimeoutTIMEOUT_TCP_CLOSING
	UDPNew      = bpf.ProgramTimeoutTIMEOUT_UDP_NEW
	UDP         = bpf.ProgramTimeoutTIMEOUT_UDP
)

// Backend is one real server in one family. Its id means the same server in both.
type Backend struct {
	Addr       netip.Addr
	Port       uint16 // nat: 0 keeps the packet's
	Generation uint16 // index
	Service    uint16 // index
	Forwarding Forwarding
	Timeouts   Timeouts
}

// Hop is where a backend's packets leave: a resolved next hop. The zero Hop is an unresolved one.
type Hop struct {
	IfIndex        uint32
	SrcMAC, DstMAC [6]byte
}

// PutBackend writes a backend that nothing names yet, unresolved. The id must not be in use by any flow.
func (t *Tables) PutBackend(f Family, id uint16, b Backend) {
	t.backends[f][id] = bpf.ProgramBackend{
		Addr: wireAddr(b.Addr), Port: wirePort(b.Port), Generation: b.Generation, Service: b.Service,
		Forwarding: uint8(b.Forwarding), Used: 1, Timeouts: b.Timeouts,
	}
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
		storeMAC(src, h.SrcMAC, 0)
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
				Forwarding: Forwarding(e.Forwarding), Timeouts: e.Timeouts,
			}
		}
	}
	return out
}

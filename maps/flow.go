package maps

import (
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/ebbtide/ebbtide/bpf"
)

// FlowState is the state of a flow entry.
type FlowState = bpf.ProgramFlowState

const (
	Free        = bpf.ProgramFlowStateFLOW_FREE
	Claimed     = bpf.ProgramFlowStateFLOW_CLAIMED
	HalfOpen    = bpf.ProgramFlowStateFLOW_HALF_OPEN
	Evicting    = bpf.ProgramFlowStateFLOW_EVICTING
	Young       = bpf.ProgramFlowStateFLOW_YOUNG
	Established = bpf.ProgramFlowStateFLOW_ESTABLISHED
	Closing     = bpf.ProgramFlowStateFLOW_CLOSING
)

// StateName is a state's name in the CLI, the API and metrics.
func StateName(s FlowState) string {
	return [...]string{"free", "claimed", "half-open", "young", "established", "closing", "evicting"}[s]
}

// Flow is one flow entry, decoded.
type Flow struct {
	Family  Family
	Slot    uint32 // in its table; of its cold record too
	Client  netip.AddrPort
	Port    uint16 // destination port
	VIP     uint16 // VIP id
	Backend uint16 // id
	State   FlowState
	Fin     bool   // closing began with a FIN
	Age     uint8  // ticks that its traffic has spanned, at most 15
	Seen    uint32 // tick of the last packet
	Start   uint32 // tick at which it was pinned
}

// Meta is the meta word of a slot, as meta.h describes it.
type Meta uint64

func (m Meta) field(shift bpf.ProgramMetaBits, bits int) uint64 {
	return uint64(m) >> shift & (1<<bits - 1)
}

func (m Meta) State() FlowState { return FlowState(m.field(0, 3)) }
func (m Meta) Fin() bool        { return m.field(bpf.ProgramMetaBitsMETA_FIN_SHIFT, 1) == 1 }
func (m Meta) Age() uint8       { return uint8(m.field(bpf.ProgramMetaBitsMETA_AGE_SHIFT, 4)) }
func (m Meta) Tag() uint16      { return uint16(m.field(bpf.ProgramMetaBitsMETA_TAG_SHIFT, 14)) }
func (m Meta) Backend() uint16  { return uint16(m.field(bpf.ProgramMetaBitsMETA_BACKEND_SHIFT, 16)) }
func (m Meta) Seen() uint32 {
	return uint32(m.field(bpf.ProgramMetaBitsMETA_SEEN_SHIFT, int(bpf.ProgramMetaBitsTICK_BITS)))
}

// WithSeen is the word with another tick.
func (m Meta) WithSeen(tick uint32) Meta {
	const shift = bpf.ProgramMetaBitsMETA_SEEN_SHIFT
	return m&(1<<shift-1) | Meta(tick&TickMask)<<shift
}

// TickMask: ticks are counted modulo TickMask+1.
const TickMask = 1<<bpf.ProgramMetaBitsTICK_BITS - 1

// word points at one word of a slot.
func (t *Tables) word(f Family, slot uint32, off, stride uint16) *uint64 {
	l := t.layouts[f]
	return (*uint64)(unsafe.Pointer(&t.lines[f][int(slot/Slots)*int(l.LineBytes)+int(off)+int(slot%Slots)*int(stride)]))
}

// metaAt points at the meta word of a slot.
func (t *Tables) metaAt(f Family, slot uint32) *uint64 {
	return t.word(f, slot, t.layouts[f].MetaOff, t.layouts[f].MetaStride)
}

// keyAt reads a word of a slot's key.
func (t *Tables) keyAt(f Family, slot uint32, i int) uint64 {
	return atomic.LoadUint64(t.word(f, slot, t.layouts[f].KeyOff[i], t.layouts[f].KeyStride[i]))
}

// SlotCount is the number of slots of a family's table, the overflow included.
func (t *Tables) SlotCount(f Family) uint32 { return LinesOf(t.layouts[f]) * Slots }

// Meta reads a slot's meta word.
func (t *Tables) Meta(f Family, slot uint32) Meta { return Meta(atomic.LoadUint64(t.metaAt(f, slot))) }

// SwapMeta changes a slot's meta word by compare-and-swap, as every change to it must. Tests age entries with it.
func (t *Tables) SwapMeta(f Family, slot uint32, old, new Meta) bool {
	return atomic.CompareAndSwapUint64(t.metaAt(f, slot), uint64(old), uint64(new))
}

// Flow reads a slot by the protocol's rule for readers: meta, key, meta again. It reports false for a slot that holds
// no flow or changed while it was read.
func (t *Tables) Flow(f Family, slot uint32) (Flow, bool) {
	before := t.Meta(f, slot)
	if before.State() < HalfOpen {
		return Flow{}, false
	}
	out := Flow{Family: f, Slot: slot}
	if f == IPv4 {
		out.fillKey4(t.keyAt(f, slot, 0), before)
	} else {
		out.fillKey6(t.keyAt(f, slot, 0), [2]uint64{t.keyAt(f, slot, 1), t.keyAt(f, slot, 2)})
	}
	out.Start = t.cold[f][slot].Start
	after := t.Meta(f, slot)
	if (before ^ after).WithSeen(0) != 0 {
		return Flow{}, false
	}
	out.Backend, out.State, out.Fin, out.Age, out.Seen = after.Backend(), after.State(), after.Fin(), after.Age(), after.Seen()
	return out, true
}

func (f *Flow) fillKey4(key uint64, meta Meta) {
	f.Client = netip.AddrPortFrom(hostAddr(IPv4, [4]uint32{uint32(key >> 32)}), wirePort(uint16(key>>16)))
	f.Port = wirePort(uint16(key))
	f.VIP = meta.Tag()
}

func (f *Flow) fillKey6(ports uint64, addr [2]uint64) {
	words := [4]uint32{uint32(addr[0]), uint32(addr[0] >> 32), uint32(addr[1]), uint32(addr[1] >> 32)}
	f.Client = netip.AddrPortFrom(hostAddr(IPv6, words), wirePort(uint16(ports>>48)))
	f.Port = wirePort(uint16(ports >> 32))
	f.VIP = uint16(ports)
}

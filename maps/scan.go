package maps

import (
	"iter"
	"net/netip"
	"sync/atomic"
	"unsafe"
)

// Wanted says which flows a scan is for: those of whose meta word Meta says so, and whose client is in Client unless that is
// the zero Prefix.
type Wanted struct {
	Meta   func(Meta) bool
	Client netip.Prefix
}

// Scan walks the slots of a table from first up to end and yields the flows that are wanted, until yield reports false; it
// says at which slot to go on. What is not wanted costs a load of its meta word, and one of its key when the client decides.
func (t *Tables) Scan(f Family, first, end uint32, want Wanted, yield func(Flow) bool) (next uint32) {
	l, client := t.layouts[f], maskOf(f, want.Client)
	if client.none {
		return end
	}
	for slot := first; slot < end; slot++ {
		line := unsafe.Pointer(&t.lines[f][int(slot/Slots)*int(l.LineBytes)])
		i := int(slot % Slots)
		m := Meta(atomic.LoadUint64((*uint64)(unsafe.Add(line, int(l.MetaOff)+i*int(l.MetaStride)))))
		if m.State() < HalfOpen || !want.Meta(m) || client.some && !t.clientIs(f, slot, client) {
			continue
		}
		if flow, ok := t.Flow(f, slot); ok && !yield(flow) {
			return slot + 1
		}
	}
	return end
}

// clientMask is a prefix as the key words of a slot have it.
type clientMask struct {
	some, none bool // some: not every client; none: no client of this family
	at, mask   [2]uint64
}

func maskOf(f Family, p netip.Prefix) clientMask {
	if !p.IsValid() {
		return clientMask{}
	}
	if familyOf(p.Addr()) != f {
		return clientMask{none: true}
	}
	bits := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	ones, _ := netip.AddrFromSlice(bits)
	return clientMask{some: true, at: clientWords(p.Masked().Addr()), mask: clientWords(ones)}
}

// clientWords are an address's bits in the words of a key that hold it: word 0 in IPv4, 1 and 2 in IPv6.
func clientWords(a netip.Addr) [2]uint64 {
	w := wireAddr(a)
	if a.Is4() {
		return [2]uint64{uint64(w[0]) << 32}
	}
	return [2]uint64{uint64(w[0]) | uint64(w[1])<<32, uint64(w[2]) | uint64(w[3])<<32}
}

func (t *Tables) clientIs(f Family, slot uint32, c clientMask) bool {
	if f == IPv4 {
		return t.keyAt(f, slot, 0)&c.mask[0] == c.at[0]
	}
	return t.keyAt(f, slot, 1)&c.mask[0] == c.at[0] && t.keyAt(f, slot, 2)&c.mask[1] == c.at[1]
}

// Flows walks the flow entries of both families, without a system call. It is no snapshot: an entry that comes or goes
// meanwhile may be seen or not, but none is seen with another's values.
func (t *Tables) Flows() iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		for _, f := range families {
			all := Wanted{Meta: func(Meta) bool { return true }}
			more := true
			t.Scan(f, 0, t.SlotCount(f), all, func(flow Flow) bool {
				more = yield(flow)
				return more
			})
			if !more {
				return
			}
		}
	}
}

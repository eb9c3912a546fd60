package maps

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

const filterBits = 64 * uint32(bpf.ProgramLimitFILTER_WORDS)

// Variables says where in .bss the program's variables lie.
type Variables struct {
	globals uint32 // byte offset of struct shared
}

// VariablesOf reads the offsets from the object's specification.
func VariablesOf(spec *ebpf.CollectionSpec) (Variables, error) {
	v := spec.Variables["globals"]
	if v == nil {
		return Variables{}, errors.New("variable globals: not in the object")
	}
	return Variables{v.Offset}, nil
}

func (t *Tables) viewGlobals(v Variables) error {
	mem, m, err := t.mapMemory(".bss")
	if err != nil {
		return err
	}
	if end := v.globals + uint32(unsafe.Sizeof(bpf.ProgramShared{})); end > m.ValueSize() {
		return fmt.Errorf("map .bss: variables end at %d, it has %d bytes", end, m.ValueSize())
	}
	t.globals = (*bpf.ProgramShared)(unsafe.Pointer(&mem[v.globals]))
	return nil
}

// Iface is an interface as the program knows it. Out is the index of the one by which its frames leave, where that is
// another: the bond of a member; 0 is itself.
type Iface struct {
	MAC [6]byte
	MTU uint32 // no packet larger than this, IP header included, is sent back by it; 0: any is
	Out uint32
}

// SetIface tells the program of an interface that packets come in by: frames for another MAC are not ours, and replies
// leave with this MAC. Two interfaces whose indexes agree modulo MaxIfaces cannot both be served: that is an error.
func (t *Tables) SetIface(ifindex uint32, i Iface) error {
	return setSlot(t.iface(ifindex%MaxIfaces), ifindex, way{i.MAC, i.MTU, cmp.Or(i.Out, ifindex), Tags{}})
}

// RemoveIface forgets an interface.
func (t *Tables) RemoveIface(ifindex uint32) { clearSlot(t.iface(ifindex%MaxIfaces), ifindex) }

// Ifaces lists the interfaces that the program knows, by index.
func (t *Tables) Ifaces() map[uint32]Iface {
	out := map[uint32]Iface{}
	for slot := range MaxIfaces {
		s := t.iface(slot)
		if s.Used == 0 {
			continue
		}
		iface := Iface{MAC: s.Mac, MTU: s.Mtu, Out: s.Ifindex}
		if iface.Out == s.Index {
			iface.Out = 0
		}
		out[s.Index] = iface
	}
	return out
}

// Limited is a kind of answer that the program builds itself.
type Limited = bpf.ProgramLimited

// The kinds.
const (
	LimitedEcho   = bpf.ProgramLimitedLIMITED_ECHO
	LimitedTooBig = bpf.ProgramLimitedLIMITED_TOO_BIG
	LimitedReset  = bpf.ProgramLimitedLIMITED_RESET
	LimitedBusy   = bpf.ProgramLimitedLIMITED_BUSY
)

// EveryLimited lists them.
func EveryLimited() []Limited {
	return []Limited{LimitedEcho, LimitedTooBig, LimitedReset, LimitedBusy}
}

// SetLimit says how many answers of a kind one CPU may build a tick.
func (t *Tables) SetLimit(kind Limited, each uint32) {
	atomic.StoreUint32(&t.globals.Limits[kind], each)
}

// Limit reads what SetLimit has written.
func (t *Tables) Limit(kind Limited) uint32 { return atomic.LoadUint32(&t.globals.Limits[kind]) }

// SetEcho says whether echo requests to VIPs are answered, or dropped.
func (t *Tables) SetEcho(on bool) {
	var off uint32
	if !on {
		off = 1
	}
	atomic.StoreUint32(&t.globals.EchoOff, off)
}

// Echo reads what SetEcho has written.
func (t *Tables) Echo() bool { return atomic.LoadUint32(&t.globals.EchoOff) == 0 }

// SetOuterSource says which source ipip's outer headers of a family have: the prefix, with bits behind it, of the last
// four bytes at most, that differ by flow. Packets in between have some bits of either.
func (t *Tables) SetOuterSource(p netip.Prefix) {
	w := wireAddr(p.Masked().Addr())
	host := min(32, p.Addr().BitLen()-p.Bits())
	spread := bits.ReverseBytes32(uint32(1<<host - 1))
	if p.Addr().Is4() {
		atomic.StoreUint32(&t.globals.Spread4, spread)
		atomic.StoreUint32(&t.globals.Source4, w[0])
		return
	}
	atomic.StoreUint32(&t.globals.Spread6, spread)
	for i := range w {
		atomic.StoreUint32(&t.globals.Source6[i], w[i])
	}
}

// OuterSource reads what SetOuterSource has written; the zero Prefix before.
func (t *Tables) OuterSource(f Family) netip.Prefix {
	g := t.globals
	source, spread := [4]uint32{g.Source4}, g.Spread4
	if f == IPv6 {
		source, spread = g.Source6, g.Spread6
	}
	if source == ([4]uint32{}) {
		return netip.Prefix{}
	}
	addr := hostAddr(f, source)
	return netip.PrefixFrom(addr, addr.BitLen()-bits.OnesCount32(spread))
}

// storeMAC writes a MAC and the 16 bits behind it in one aligned 8-byte store, so that no packet sees half of each.
func storeMAC(at unsafe.Pointer, mac [6]byte, behind uint16) {
	atomic.StoreUint64((*uint64)(at), macWord(mac)|uint64(behind)<<48)
}

func macWord(mac [6]byte) (w uint64) {
	for i, b := range mac {
		w |= uint64(b) << (8 * i)
	}
	return w
}

// SetFilter makes the address filter let through exactly these addresses (and whatever shares a bit with one): VIPs, and
// the backends of nat services. Bits are stored word by word; add before a listener appears and take away after it went.
func (t *Tables) SetFilter(addrs []netip.Addr) {
	var want [filterBits / 64]uint64
	for _, a := range addrs {
		bit := filterBit(a)
		want[bit/64] |= 1 << (bit % 64)
	}
	for i := range want {
		if t.globals.AddressFilter[i] != want[i] {
			atomic.StoreUint64(&t.globals.AddressFilter[i], want[i])
		}
	}
}

// filterBit is filtered4() and filtered6() of the program.
func filterBit(a netip.Addr) uint32 {
	w := wireAddr(a)
	if a.Is4() {
		return w[0] * 0x9e3779b1 >> 16
	}
	return (w[0] ^ w[1]*3 ^ w[2]*5 ^ w[3]*7) * 0x9e3779b1 >> 16
}

// SetPinPrevious says where new flows are pinned while an upgrade moves links: in the previous table, which the old
// program knows too, or in the current one.
func (t *Tables) SetPinPrevious(on bool) {
	var v uint32
	if on {
		v = 1
	}
	atomic.StoreUint32(&t.globals.PinPrevious, v)
}

// CopySettings takes over what another data plane's program was told: interfaces, the address filter, limits and outer
// sources.
func (t *Tables) CopySettings(from *Tables) {
	was, is := from.globals, t.globals
	is.Ifaces, is.AddressFilter = was.Ifaces, was.AddressFilter
	is.Limits, is.EchoOff = was.Limits, was.EchoOff
	is.Source4, is.Spread4, is.Source6, is.Spread6 = was.Source4, was.Spread4, was.Source6, was.Spread6
}

// ResetImport makes the importer begin at the first line of the previous tables.
func (t *Tables) ResetImport() {
	atomic.StoreUint32(&t.globals.ImportLeft, 0)
	atomic.StoreUint32(&t.globals.ImportCursor, 0)
}

// ImportLeft is the number of pins that the importer could not move since ResetImport.
func (t *Tables) ImportLeft() uint32 { return atomic.LoadUint32(&t.globals.ImportLeft) }

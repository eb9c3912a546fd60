package maps

import (
	"errors"
	"fmt"
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

// SetIface tells the program of an interface that it is attached to: frames for another MAC are not ours, and replies
// leave with this MAC. Two interfaces whose indexes agree modulo MaxIfaces cannot both be served: that is an error.
func (t *Tables) SetIface(ifindex uint32, mac [6]byte) error {
	slot := &t.globals.Ifaces[ifindex%MaxIfaces]
	if slot.Used != 0 && slot.Ifindex != ifindex {
		return fmt.Errorf("interface %d: its slot is taken by interface %d, whose index agrees modulo %d; attach to only one of them", ifindex, slot.Ifindex, MaxIfaces)
	}
	atomic.StoreUint32(&slot.Ifindex, ifindex)
	storeMAC(unsafe.Pointer(slot), mac, 1)
	return nil
}

// RemoveIface forgets an interface.
func (t *Tables) RemoveIface(ifindex uint32) {
	slot := &t.globals.Ifaces[ifindex%MaxIfaces]
	if slot.Ifindex == ifindex {
		storeMAC(unsafe.Pointer(slot), [6]byte{}, 0)
	}
}

// Ifaces lists the interfaces that the program knows.
func (t *Tables) Ifaces() map[uint32][6]byte {
	out := map[uint32][6]byte{}
	for _, i := range t.globals.Ifaces {
		if i.Used != 0 {
			out[i.Ifindex] = i.Mac
		}
	}
	return out
}

// storeMAC writes a MAC and the 16 bits behind it in one aligned 8-byte store, so that no packet sees half of each.
func storeMAC(at unsafe.Pointer, mac [6]byte, behind uint16) {
	atomic.StoreUint64((*uint64)(at), uint64(macWord(mac))|uint64(behind)<<48)
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

// CopyFilter takes over the address filter of another data plane's tables.
func (t *Tables) CopyFilter(from *Tables) { t.globals.AddressFilter = from.globals.AddressFilter }

// ResetImport makes the importer begin at the first line of the previous tables.
func (t *Tables) ResetImport() {
	atomic.StoreUint32(&t.globals.ImportLeft, 0)
	atomic.StoreUint32(&t.globals.ImportCursor, 0)
}

// ImportLeft is the number of pins that the importer could not move since ResetImport.
func (t *Tables) ImportLeft() uint32 { return atomic.LoadUint32(&t.globals.ImportLeft) }

package maps

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Tag is a VLAN tag without its priority bits. The zero Tag is none.
type Tag struct {
	TPID uint16 // 0x8100 (802.1Q) or 0x88a8 (802.1ad)
	ID   uint16
}

// Tags of a frame, the outer one first.
type Tags [2]Tag

// Count is how many there are.
func (t Tags) Count() (n int) {
	for n < len(t) && t[n] != (Tag{}) {
		n++
	}
	return n
}

func (t Tags) String() string {
	switch t.Count() {
	case 0:
		return "untagged"
	case 1:
		return fmt.Sprintf("VLAN %d", t[0].ID)
	}
	return fmt.Sprintf("VLAN %d.%d", t[0].ID, t[1].ID)
}

func (t Tags) wire() (w bpf.ProgramTags) {
	for i, tag := range t[:t.Count()] {
		var b [4]byte
		binary.BigEndian.PutUint16(b[:], tag.TPID)
		binary.BigEndian.PutUint16(b[2:], tag.ID)
		w.Words[i] = binary.NativeEndian.Uint32(b[:])
		w.Bytes += 4
	}
	return w
}

func hostTags(w bpf.ProgramTags) (t Tags) {
	for i := range min(int(w.Bytes/4), len(t)) {
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], w.Words[i])
		t[i] = Tag{binary.BigEndian.Uint16(b[:]), binary.BigEndian.Uint16(b[2:])}
	}
	return t
}

// storeTags changes tags word by word: no packet may be using them.
func storeTags(at *bpf.ProgramTags, t Tags) {
	w := t.wire()
	atomic.StoreUint32(&at.Words[0], w.Words[0])
	atomic.StoreUint32(&at.Words[1], w.Words[1])
	atomic.StoreUint32(&at.Bytes, w.Bytes)
}

// way is how frames leave by an interface or VLAN.
type way struct {
	mac  [6]byte
	mtu  uint32
	out  uint32
	tags Tags
}

// iface is a line of the program's table: of interfaces first, then of VLANs. (bpf2go names the type, but not here.)
func (t *Tables) iface(slot uint32) *bpf.ProgramIface {
	return (*bpf.ProgramIface)(unsafe.Pointer(&t.globals.Ifaces[slot]))
}

func setSlot(s *bpf.ProgramIface, index uint32, w way) error {
	if s.Used != 0 && s.Index != index {
		return fmt.Errorf("interface %d: its slot is taken by interface %d, whose index agrees modulo %d; only one of them can be used: delete one and make it anew", index, s.Index, MaxIfaces)
	}
	if s.Used != 0 && (s.Ifindex != w.out || hostTags(s.Tags) != w.tags) {
		clearSlot(s, index)
	}
	atomic.StoreUint32(&s.Mtu, cmp.Or(w.mtu, math.MaxUint32))
	atomic.StoreUint32(&s.Ifindex, w.out)
	atomic.StoreUint32(&s.Index, index)
	storeTags(&s.Tags, w.tags)
	storeMAC(unsafe.Pointer(s), w.mac, 1)
	return nil
}

func clearSlot(s *bpf.ProgramIface, index uint32) {
	if s.Index == index {
		storeMAC(unsafe.Pointer(s), [6]byte{}, 0)
	}
}

// VLAN is a VLAN, or one in another, that this host has an interface in. Clients' packets may come in it, and replies to
// them leave in it.
type VLAN struct {
	On   uint32 // index of the interface that its frames come in and leave by
	Tags Tags
	MAC  [6]byte
	MTU  uint32
}

// SetVLAN tells the program of a VLAN interface; a packet finds it once all of it is there. As with SetIface, indexes may
// not agree modulo MaxIfaces.
func (t *Tables) SetVLAN(ifindex uint32, v VLAN) error {
	slot := MaxIfaces + ifindex%MaxIfaces
	if was, there := t.VLANs()[ifindex]; there && vlanKey(was) != vlanKey(v) {
		if err := t.RemoveVLAN(ifindex); err != nil {
			return err
		}
	}
	if err := setSlot(t.iface(slot), ifindex, way{v.MAC, v.MTU, v.On, v.Tags}); err != nil {
		return err
	}
	if err := t.maps["vlans"].Put(vlanKey(v), slot); err != nil {
		return fmt.Errorf("put %s on interface %d: %w", v.Tags, v.On, err)
	}
	return nil
}

// RemoveVLAN forgets a VLAN interface; one that is not there is no error. Replies that would leave in it are dropped until
// their clients have sent by another way.
func (t *Tables) RemoveVLAN(ifindex uint32) error {
	v, there := t.VLANs()[ifindex]
	if !there {
		return nil
	}
	if err := t.maps["vlans"].Delete(vlanKey(v)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove %s on interface %d: %w", v.Tags, v.On, err)
	}
	clearSlot(t.iface(MaxIfaces+ifindex%MaxIfaces), ifindex)
	return nil
}

// VLANs lists the VLAN interfaces that the program knows, by index.
func (t *Tables) VLANs() map[uint32]VLAN {
	out := map[uint32]VLAN{}
	for slot := MaxIfaces; slot < 2*MaxIfaces; slot++ {
		if s := t.iface(slot); s.Used != 0 {
			out[s.Index] = VLAN{On: s.Ifindex, Tags: hostTags(s.Tags), MAC: s.Mac, MTU: s.Mtu}
		}
	}
	return out
}

func vlanKey(v VLAN) bpf.ProgramVlanKey {
	return bpf.ProgramVlanKey{Ifindex: v.On, Tags: v.Tags.wire()}
}

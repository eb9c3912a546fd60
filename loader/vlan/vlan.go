// Package vlan reads from the kernel's links which VLAN tags lead where.
package vlan

import (
	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/maps"
)

// Layer is the VLAN that an interface stands for, on another one. The zero Layer is that of an interface that is none.
type Layer struct {
	On  int // index
	Tag maps.Tag
}

// LayerOf reads it of a link. One whose lower interface is in another namespace is as good as none: no frame of this host
// leaves there.
func LayerOf(l netlink.Link) Layer {
	v, ok := l.(*netlink.Vlan)
	if !ok || v.NetNsID >= 0 || v.ParentIndex == 0 {
		return Layer{}
	}
	return Layer{v.ParentIndex, maps.Tag{TPID: uint16(v.VlanProtocol), ID: uint16(v.VlanId)}}
}

// Below goes down from an interface, through VLANs, to the first that ends accepts, and says which tags a frame carries
// there. More of them than the program knows lead nowhere.
func Below(index int, layer func(index int) Layer, ends func(index int) bool) (below int, tags maps.Tags, ok bool) {
	for range len(tags) {
		if ends(index) {
			return index, tags, true
		}
		l := layer(index)
		if l == (Layer{}) {
			return 0, maps.Tags{}, false
		}
		copy(tags[1:], tags[:])
		tags[0], index = l.Tag, l.On
	}
	return index, tags, ends(index)
}

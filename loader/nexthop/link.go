package nexthop

import (
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/loader/vlan"
	"github.com/ebbtide/ebbtide/maps"
)

// link is what matters of an interface. Comparable: the kernel also reports
// changes that do not matter here.
type link struct {
	name     string
	mac      [6]byte
	mtu      int
	ethernet bool
	up       bool
	carrier  bool
	vlan     vlan.Layer
}

func linkOf(l netlink.Link) link {
	a := l.Attrs()
	out := link{
		name:     a.Name,
		mtu:      a.MTU,
		ethernet: a.EncapType == "ether" && len(a.HardwareAddr) == 6,
		up:       a.RawFlags&unix.IFF_UP != 0,
		carrier:  a.RawFlags&unix.IFF_LOWER_UP != 0,
		vlan:     vlan.LayerOf(l),
	}
	copy(out.mac[:], a.HardwareAddr)
	return out
}

// down says why nothing can be sent, or "" when it can.
func (l link) down() string {
	switch {
	case l.name == "":
		return "the interface is gone"
	case !l.up:
		return "interface " + l.name + " is down"
	case !l.carrier:
		return "interface " + l.name + " has no carrier"
	}
	return ""
}

// below is where frames leave that are routed by an interface, and with which tags.
func (w *Watcher) below(index int) (out int, tags maps.Tags, ok bool) {
	return vlan.Below(index, func(i int) vlan.Layer { return w.links[i].vlan }, w.allowed)
}

// allowed says whether packets may leave by an interface; with none named, by any that is no VLAN.
func (w *Watcher) allowed(index int) bool {
	l := w.links[index]
	return slices.Contains(w.via, l.name) || len(w.via) == 0 && l.vlan == (vlan.Layer{})
}

// norVLAN ends the sentence about an interface that is none of those configured.
func (l link) norVLAN() string {
	if l.vlan == (vlan.Layer{}) {
		return ""
	}
	return ", nor a VLAN, or one in another, on one of them"
}

package nexthop

import (
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
}

func linkOf(l netlink.Link) link {
	a := l.Attrs()
	out := link{
		name:     a.Name,
		mtu:      a.MTU,
		ethernet: a.EncapType == "ether" && len(a.HardwareAddr) == 6,
		up:       a.RawFlags&unix.IFF_UP != 0,
		carrier:  a.RawFlags&unix.IFF_LOWER_UP != 0,
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

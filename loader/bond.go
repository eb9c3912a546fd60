package loader

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/maps"
)

// checkBond refuses a bond on which the kernel runs no native XDP (bond_xdp_check of drivers/net/bonding). Generic XDP runs on
// any.
func checkBond(name string, mode Mode) error {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	bond, ok := dev.(*netlink.Bond)
	if !ok || mode == Generic {
		return nil
	}
	if reason := bondReason(bond); reason != "" {
		return fmt.Errorf("attach to %s: it is a bond %s, on which the kernel runs no native XDP; use active-backup, balance-rr, balance-xor or 802.3ad (with another hash than vlan+srcmac), or `xdp: generic` in the configuration, which accepts the slower mode", name, reason)
	}
	return nil
}

// bondReason says what keeps native XDP off a bond, or "".
func bondReason(b *netlink.Bond) string {
	switch b.Mode {
	case netlink.BOND_MODE_BALANCE_RR, netlink.BOND_MODE_ACTIVE_BACKUP:
		return ""
	case netlink.BOND_MODE_BALANCE_XOR, netlink.BOND_MODE_802_3AD:
		if b.XmitHashPolicy == netlink.BOND_XMIT_HASH_POLICY_VLAN_SRCMAC {
			return "that hashes by vlan+srcmac"
		}
		return ""
	}
	return fmt.Sprintf("of mode %s", b.Mode)
}

// followMembers tells the program of the members of the bonds that it runs on: the kernel runs it on them, and it sees their
// indexes. Frames are for the MAC of the bond, and leave by it.
func (p *Plane) followMembers() error {
	links, err := linkList()
	if err != nil {
		return err
	}
	have := p.Tables.Ifaces()
	want := membersOf(links, have)
	var errs []error
	for index, i := range have {
		if _, stays := want[index]; i.Out != 0 && !stays {
			p.Tables.RemoveIface(index)
		}
	}
	for index, i := range want {
		if have[index] != i {
			errs = append(errs, p.Tables.SetIface(index, i))
		}
	}
	return errors.Join(errs...)
}

// membersOf the bonds among the interfaces that the program runs on, which are those with no other way out. One that it runs
// on itself is left alone.
func membersOf(links []netlink.Link, known map[uint32]maps.Iface) map[uint32]maps.Iface {
	bonds, out := map[int]maps.Iface{}, map[uint32]maps.Iface{}
	for _, l := range links {
		index := uint32(l.Attrs().Index)
		if i, attached := known[index]; attached && i.Out == 0 && l.Type() == "bond" {
			bonds[l.Attrs().Index] = maps.Iface{MAC: i.MAC, MTU: i.MTU, Out: index}
		}
	}
	for _, l := range links {
		index := uint32(l.Attrs().Index)
		i, known := known[index]
		if bond, member := bonds[l.Attrs().MasterIndex]; member && (!known || i.Out != 0) {
			out[index] = bond
		}
	}
	return out
}

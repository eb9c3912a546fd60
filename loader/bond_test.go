package loader

import (
	goMaps "maps"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/maps"
)

func TestNativeXDPRunsOnBondsOfTheseModes(t *testing.T) {
	for mode, want := range map[netlink.BondMode]string{
		netlink.BOND_MODE_BALANCE_RR: "", netlink.BOND_MODE_ACTIVE_BACKUP: "", netlink.BOND_MODE_BALANCE_XOR: "",
		netlink.BOND_MODE_802_3AD: "", netlink.BOND_MODE_BROADCAST: "of mode broadcast",
		netlink.BOND_MODE_BALANCE_TLB: "of mode balance-tlb", netlink.BOND_MODE_BALANCE_ALB: "of mode balance-alb",
		netlink.BOND_MODE_UNKNOWN: "of mode BondMode(7)",
	} {
		if got := bondReason(&netlink.Bond{Mode: mode}); got != want {
			t.Errorf("%v: %q, want %q", mode, got, want)
		}
	}
	hashed := &netlink.Bond{Mode: netlink.BOND_MODE_802_3AD, XmitHashPolicy: netlink.BOND_XMIT_HASH_POLICY_VLAN_SRCMAC}
	if got := bondReason(hashed); got != "that hashes by vlan+srcmac" {
		t.Errorf("vlan+srcmac: %q", got)
	}
}

// bond0 is attached, bond1 is not; one member of bond0 has the program for itself, one was a member.
func TestMembersOfAttachedBonds(t *testing.T) {
	attrs := func(index, master int) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Index, a.MasterIndex = index, master
		return a
	}
	bond := maps.Iface{MAC: [6]byte{2, 0, 0, 0, 0, 1}, MTU: 9000}
	member := bond
	member.Out = 10
	links := []netlink.Link{
		&netlink.Device{LinkAttrs: attrs(2, 10)}, &netlink.Device{LinkAttrs: attrs(3, 10)}, &netlink.Device{LinkAttrs: attrs(4, 10)},
		&netlink.Device{LinkAttrs: attrs(5, 11)}, &netlink.Device{LinkAttrs: attrs(6, 0)}, &netlink.Device{LinkAttrs: attrs(7, 12)},
		netlink.NewLinkBond(attrs(10, 0)), netlink.NewLinkBond(attrs(11, 0)), &netlink.Bridge{LinkAttrs: attrs(12, 0)},
	}
	old := bond
	old.MAC[5]++
	old.Out = 10
	known := map[uint32]maps.Iface{3: old, 4: bond, 6: member, 10: bond, 12: bond}
	got, want := membersOf(links, known), map[uint32]maps.Iface{2: member, 3: member}
	if !goMaps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

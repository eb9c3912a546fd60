package loader

import (
	goMaps "maps"
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/maps"
)

// eth0 is attached, eth1 is not. Of the VLANs on eth0 one is down, and one is the third in another.
func TestVLANsOfAttachedInterfaces(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	attrs := func(index, on int, name string, flags net.Flags) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Index, a.ParentIndex, a.Name, a.Flags, a.HardwareAddr, a.MTU = index, on, name, flags, mac, 1500-index
		return a
	}
	tagged := func(index, on int, name string, flags net.Flags, protocol netlink.VlanProtocol, id int) netlink.Link {
		return &netlink.Vlan{LinkAttrs: attrs(index, on, name, flags), VlanProtocol: protocol, VlanId: id}
	}
	const q, ad = netlink.VLAN_PROTOCOL_8021Q, netlink.VLAN_PROTOCOL_8021AD
	links := []netlink.Link{
		&netlink.Device{LinkAttrs: attrs(2, 0, "eth0", net.FlagUp)},
		&netlink.Device{LinkAttrs: attrs(3, 0, "eth1", net.FlagUp)},
		tagged(10, 2, "eth0.20", net.FlagUp, q, 20),
		tagged(11, 2, "eth0.100", net.FlagUp, ad, 100),
		tagged(12, 11, "eth0.100.20", net.FlagUp, q, 20),
		tagged(13, 12, "eth0.100.20.7", net.FlagUp, q, 7),
		tagged(14, 2, "eth0.30", 0, q, 30),
		tagged(15, 3, "eth1.20", net.FlagUp, q, 20),
	}
	got := vlansOn(links, map[uint32]maps.Iface{2: {}})
	want := map[uint32]maps.VLAN{
		10: {On: 2, Tags: maps.Tags{{TPID: 0x8100, ID: 20}}, MAC: [6]byte(mac), MTU: 1490},
		11: {On: 2, Tags: maps.Tags{{TPID: 0x88a8, ID: 100}}, MAC: [6]byte(mac), MTU: 1489},
		12: {On: 2, Tags: maps.Tags{{TPID: 0x88a8, ID: 100}, {TPID: 0x8100, ID: 20}}, MAC: [6]byte(mac), MTU: 1488},
	}
	if !goMaps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

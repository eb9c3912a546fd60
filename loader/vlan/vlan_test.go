package vlan

import (
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/maps"
)

// eth0 (2) has VLAN 20 (3), the service tag 100 (4) with VLAN 20 in it (5), and a third tag in that (6).
var layers = map[int]Layer{
	3: {2, maps.Tag{TPID: 0x8100, ID: 20}},
	4: {2, maps.Tag{TPID: 0x88a8, ID: 100}},
	5: {4, maps.Tag{TPID: 0x8100, ID: 20}},
	6: {5, maps.Tag{TPID: 0x8100, ID: 7}},
}

func TestTheWayDownGathersTags(t *testing.T) {
	for index, row := range map[int]struct {
		ends, below int
		tags        maps.Tags
		ok          bool
	}{
		2: {2, 2, maps.Tags{}, true},
		3: {2, 2, maps.Tags{layers[3].Tag}, true},
		4: {2, 2, maps.Tags{layers[4].Tag}, true},
		5: {2, 2, maps.Tags{layers[4].Tag, layers[5].Tag}, true}, // the outer one first
		6: {2, 0, maps.Tags{}, false},                            // one tag too many
		7: {2, 0, maps.Tags{}, false},                            // another interface
	} {
		below, tags, ok := Below(index, func(i int) Layer { return layers[i] }, func(i int) bool { return i == row.ends })
		if ok != row.ok || ok && (below != row.below || tags != row.tags) {
			t.Errorf("from %d: %d, %v, %v; want %+v", index, below, tags, ok, row)
		}
	}
	// The program may run on a VLAN interface itself: there the frame has no tag of it.
	below, tags, ok := Below(5, func(i int) Layer { return layers[i] }, func(i int) bool { return i == 4 })
	if want := (maps.Tags{layers[5].Tag}); below != 4 || tags != want || !ok {
		t.Errorf("down to a VLAN: %d, %v, %v", below, tags, ok)
	}
}

func TestALayerIsReadOfAVLANInterface(t *testing.T) {
	attrs := netlink.NewLinkAttrs()
	attrs.ParentIndex = 2
	qinq := &netlink.Vlan{LinkAttrs: attrs, VlanId: 100, VlanProtocol: netlink.VLAN_PROTOCOL_8021AD}
	if got := LayerOf(qinq); got != layers[4] {
		t.Errorf("%+v, want %+v", got, layers[4])
	}
	elsewhere := *qinq
	elsewhere.NetNsID = 0
	for _, l := range []netlink.Link{&elsewhere, &netlink.Veth{LinkAttrs: attrs}} {
		if got := LayerOf(l); got != (Layer{}) {
			t.Errorf("%s: %+v", l.Type(), got)
		}
	}
}

package maps

import (
	"maps"
	"net/netip"
	"testing"
)

func TestIfacesWhoseIndexesAgreeCannotBothBeServed(t *testing.T) {
	tables := mustTables(t)
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	must(t, tables.SetIface(3, Iface{MAC: mac, MTU: 1500}))
	must(t, tables.SetIface(3, Iface{MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 1500}))
	if err := tables.SetIface(3+MaxIfaces, Iface{MAC: mac, MTU: 1500}); err == nil {
		t.Error("two interfaces share a slot")
	}
	if got := tables.Ifaces(); !maps.Equal(got, map[uint32]Iface{3: {MAC: [6]byte{2, 0, 0, 0, 0, 2}, MTU: 1500}}) {
		t.Errorf("%v", got)
	}
	tables.RemoveIface(3 + MaxIfaces) // not the one that is there
	tables.RemoveIface(3)
	must(t, tables.SetIface(3+MaxIfaces, Iface{MAC: mac, MTU: 1500}))
	if got := tables.Ifaces(); !maps.Equal(got, map[uint32]Iface{3 + MaxIfaces: {MAC: mac, MTU: 1500}}) {
		t.Errorf("%v", got)
	}
}

func TestOuterSourcesComeBackAsTheyWereSet(t *testing.T) {
	tables := mustTables(t)
	for _, row := range [][2]string{{"10.250.0.0/16", "fd00:eb::/96"}, {"10.250.0.7/32", "fd00:eb::7/128"}, {"10.0.0.0/9", "fd00:eb::4:0/112"}} {
		for f, text := range row {
			want := netip.MustParsePrefix(text)
			tables.SetOuterSource(want)
			if got := tables.OuterSource(Family(f)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

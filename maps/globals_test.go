package maps

import (
	"maps"
	"testing"
)

func TestIfacesWhoseIndexesAgreeCannotBothBeServed(t *testing.T) {
	tables := mustTables(t)
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	must(t, tables.SetIface(3, mac))
	must(t, tables.SetIface(3, [6]byte{2, 0, 0, 0, 0, 2}))
	if err := tables.SetIface(3+MaxIfaces, mac); err == nil {
		t.Error("two interfaces share a slot")
	}
	if got := tables.Ifaces(); !maps.Equal(got, map[uint32][6]byte{3: {2, 0, 0, 0, 0, 2}}) {
		t.Errorf("%v", got)
	}
	tables.RemoveIface(3 + MaxIfaces) // not the one that is there
	tables.RemoveIface(3)
	must(t, tables.SetIface(3+MaxIfaces, mac))
	if got := tables.Ifaces(); !maps.Equal(got, map[uint32][6]byte{3 + MaxIfaces: mac}) {
		t.Errorf("%v", got)
	}
}

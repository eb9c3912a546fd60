package maps

import (
	"net/netip"
	"reflect"
	"testing"
)

func TestBackendsComeBackAsTheyWerePut(t *testing.T) {
	tables := mustTables(t)
	for f, addr := range []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		want := Backend{
			Addr: addr, Port: 8080, Generation: 7, Service: 3, Forwarding: NAT, Weight: 5, Use: InPool,
		}
		tables.PutBackend(Family(f), 65535, want)
		if got := tables.Backends(Family(f)); !reflect.DeepEqual(got, map[uint16]Backend{65535: want}) {
			t.Errorf("%+v, want %+v", got, want)
		}
		want.Weight, want.Use = 2, Removed
		tables.NoteBackend(Family(f), 65535, want.Weight, want.Use, 9)
		if got := tables.Backends(Family(f))[65535]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		tables.RemoveBackend(Family(f), 65535)
		if got := tables.Backends(Family(f)); len(got) != 0 {
			t.Errorf("%+v is left", got)
		}
	}
}

// In ipip the address is of the outer header's family, whatever the packets are.
func TestAnIPIPBackendOfIPv4PacketsMayHaveAnIPv6Address(t *testing.T) {
	tables := mustTables(t)
	want := Backend{Addr: netip.MustParseAddr("2001:db8::1"), Forwarding: IPIP, Outer: IPv6, Weight: 1, Use: InPool}
	tables.PutBackend(IPv4, 7, want)
	if got := tables.Backends(IPv4); !reflect.DeepEqual(got, map[uint16]Backend{7: want}) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A backend's next hop comes, moves to another interface, changes its MAC and goes; what else is known of the backend
// stays.
func TestAHopChangesNothingElse(t *testing.T) {
	tables := mustTables(t)
	want := Backend{Addr: netip.MustParseAddr("192.0.2.1"), Weight: 5, Use: InPool}
	tables.PutBackend(IPv4, 1, want)
	if _, resolved := tables.Hop(IPv4, 1); resolved {
		t.Error("a new backend is resolved")
	}
	for _, h := range []Hop{
		{IfIndex: 2, SrcMAC: [6]byte{2, 0, 0, 0, 0, 1}, DstMAC: [6]byte{2, 0, 0, 0, 0, 9}},
		{IfIndex: 2, SrcMAC: [6]byte{2, 0, 0, 0, 0, 1}, DstMAC: [6]byte{2, 0, 0, 0, 0, 8}},
		{IfIndex: 3, SrcMAC: [6]byte{2, 0, 0, 0, 0, 2}, DstMAC: [6]byte{2, 0, 0, 0, 0, 8}},
		{IfIndex: 3, SrcMAC: [6]byte{2, 0, 0, 0, 0, 2}, DstMAC: [6]byte{2, 0, 0, 0, 0, 8}, Tags: Tags{{TPID: 0x88a8, ID: 100}, {TPID: 0x8100, ID: 20}}},
		{IfIndex: 3, SrcMAC: [6]byte{2, 0, 0, 0, 0, 2}, DstMAC: [6]byte{2, 0, 0, 0, 0, 8}, Tags: Tags{{TPID: 0x8100, ID: 4094}}},
	} {
		tables.SetHop(IPv4, 1, h)
		if got, resolved := tables.Hop(IPv4, 1); got != h || !resolved {
			t.Errorf("%+v (resolved %v), want %+v", got, resolved, h)
		}
	}
	hop, _ := tables.Hop(IPv4, 1)
	tables.LoseBackend(IPv4, 1)
	if got, resolved := tables.Hop(IPv4, 1); got != hop || resolved {
		t.Errorf("lost, and %+v (resolved %v), want %+v", got, resolved, hop)
	}
	tables.SetHop(IPv4, 1, hop)
	if _, resolved := tables.Hop(IPv4, 1); !resolved {
		t.Error("back, and not resolved")
	}
	tables.SetHop(IPv4, 1, Hop{})
	if _, resolved := tables.Hop(IPv4, 1); resolved {
		t.Error("resolved after its hop went")
	}
	if got := tables.Backends(IPv4)[1]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

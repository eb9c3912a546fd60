package maps

import (
	"maps"
	"net/netip"
	"testing"
)

func TestListenersRepliesAndVIPsComeBackAsTheyWerePut(t *testing.T) {
	tables := mustTables(t)
	listeners, replies, vips := map[Socket]Listener{}, map[Socket]Reply{}, map[uint16]VIP{}
	for i, addr := range []netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")} {
		for j, proto := range []Protocol{ProtocolTCP, ProtocolUDP} {
			id := uint16(1 + 2*i + j)
			listeners[Socket{addr, 7777, proto}] = Listener{VIP: id, Service: 1, ID: 16383, Forwarding: NAT, Kind: Closed}
			listeners[Socket{addr, 0, proto}] = Listener{VIP: id, Service: 1, Kind: Mark}
			replies[Socket{addr, 8080, proto}] = Reply{VIP: addr, Port: 443, VIPID: id}
			vips[id] = VIP{Addr: addr, Protocol: proto, Listener: id}
		}
	}
	for s, l := range listeners {
		must(t, tables.PutListener(s, l))
	}
	for s, r := range replies {
		must(t, tables.PutReply(s, r))
	}
	for id, v := range vips {
		must(t, tables.PutVIP(id, v))
	}
	compare(t, "listeners", tables.Listeners, listeners)
	compare(t, "replies", tables.Replies, replies)
	compare(t, "VIPs", tables.VIPs, vips)
	for s := range listeners {
		must(t, tables.RemoveListener(s))
		must(t, tables.RemoveListener(s)) // that it is gone is no error
	}
	for s := range replies {
		must(t, tables.RemoveReply(s))
		must(t, tables.RemoveReply(s))
	}
	for id := range vips {
		must(t, tables.RemoveVIP(id))
	}
	compare(t, "listeners", tables.Listeners, map[Socket]Listener{})
	compare(t, "replies", tables.Replies, map[Socket]Reply{})
	compare(t, "VIPs", tables.VIPs, map[uint16]VIP{})
}

func compare[K, V comparable](t *testing.T, what string, read func() (map[K]V, error), want map[K]V) {
	t.Helper()
	got, err := read()
	must(t, err)
	if !maps.Equal(got, want) {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

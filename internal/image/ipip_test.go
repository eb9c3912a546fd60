package image

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

const tunnelYAML = `
interfaces: [eth0]
ipip: {source: [10.250.0.0/16, "fd00:eb::/96"]}
services:
  world:
    forwarding: ipip
    listeners:
      - {vip: 203.0.113.10, protocol: tcp, port: 7777}
      - {vip: "2001:db8::10", protocol: tcp, port: 7777}
    pools:
      blue:
        version: "1.9"
        backends: [{address: [10.0.0.11, "fd00::11"]}, {address: "fd00::12"}, {address: 10.0.0.13}]
`

func TestABackendWithoutAnIPv4AddressServesIPv4InIPv6(t *testing.T) {
	im := mustBuild(t, tunnelYAML, New())
	got := map[[2]string]bool{}
	for _, b := range im.Backends {
		if b.Forwarding != kernel.IPIP || b.Outer != 0 {
			t.Errorf("%+v", b)
		}
		got[[2]string{text(b.Addrs[kernel.IPv4]), text(b.Addrs[kernel.IPv6])}] = true
	}
	want := map[[2]string]bool{{"10.0.0.11", "fd00::11"}: true, {"fd00::12", "fd00::12"}: true, {"10.0.0.13", ""}: true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("addresses by family of the packet: %v, want %v", got, want)
	}
	if again := mustBuild(t, tunnelYAML, im); !reflect.DeepEqual(again, im) {
		t.Error("the same file gives another image")
	}
}

// Between modes without nat a listener moves freely: its flows go by their backends' mode.
func TestAListenerMovesBetweenDSRAndIPIP(t *testing.T) {
	im := mustBuild(t, tunnelYAML, New())
	moved := strings.NewReplacer("world:", "arena:", "ipip\n", "dsr\n").Replace(tunnelYAML)
	next, _, err := build(t, moved, im, state.State{})
	if err != nil {
		t.Fatal(err)
	}
	socket := kernel.Socket{Addr: netip.MustParseAddr("203.0.113.10"), Port: 7777, Protocol: kernel.ProtocolTCP}
	if l := next.Listeners[socket]; l.Kind != kernel.Open || l.Forwarding != kernel.DSR || l.VIP != im.Listeners[socket].VIP {
		t.Errorf("%+v", l)
	}
}

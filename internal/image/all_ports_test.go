package image

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
)

const allYAML = `
interfaces: [eth0]
services:
  shop:
    forwarding: nat
    listeners:
      - {vip: 203.0.113.20, protocol: tcp, port: all}
    pools:
      blue: {version: "1", backends: [{address: 10.0.0.1}]}
`

// both is allYAML with a second service, which has some of the VIP's ports for itself.
func both(mode, listener, backend string) string {
	return allYAML + `  login:
    forwarding: ` + mode + `
    listeners: [` + listener + `]
    pools: {blue: {version: "7", backends: [` + backend + `]}}
`
}

const port80 = "{vip: 203.0.113.20, protocol: tcp, port: 80}"

func at(port uint16) kernel.Socket {
	return kernel.Socket{Addr: netip.MustParseAddr("203.0.113.20"), Port: port, Protocol: kernel.ProtocolTCP}
}

func TestAListenerOfAllPortsIsOneEntryAndOneReplyABackend(t *testing.T) {
	im := mustBuild(t, allYAML, New())
	if l := im.Listeners[at(0)]; len(im.Listeners) != 1 || l.Kind != kernel.Open || l.ID == 0 || l.Service != 1 {
		t.Errorf("%+v", im.Listeners)
	}
	want := map[kernel.Socket]kernel.Reply{
		{Addr: netip.MustParseAddr("10.0.0.1"), Protocol: kernel.ProtocolTCP}: {VIP: at(0).Addr, VIPID: im.Listeners[at(0)].VIP},
	}
	if !reflect.DeepEqual(im.Replies, want) {
		t.Errorf("%+v", im.Replies)
	}
	if again := mustBuild(t, allYAML, im); !reflect.DeepEqual(again, im) {
		t.Error("the same file gives another image")
	}
}

// The mark of a VIP and protocol and the listener of all ports are one entry, of which neither takes the other away.
func TestAListenerOfAllPortsComesAndGoesBesideOthers(t *testing.T) {
	one := strings.Replace(allYAML, "port: all", "port: 80", 1)
	two := strings.Replace(allYAML, "      - {vip: 203.0.113.20, protocol: tcp, port: all}\n", "      - {vip: 203.0.113.20, protocol: tcp, port: all}\n      - "+port80+"\n", 1)
	im := mustBuild(t, one, New())
	if im.Listeners[at(0)].Kind != kernel.Mark {
		t.Fatalf("%+v", im.Listeners)
	}
	vip, id := im.Listeners[at(80)].VIP, im.Listeners[at(80)].ID
	im = mustBuild(t, two, im)
	if l := im.Listeners[at(0)]; l.Kind != kernel.Open || l.VIP != vip || l.ID == id || im.Listeners[at(80)].ID != id {
		t.Fatalf("beside port 80: %+v", im.Listeners)
	}
	im = mustBuild(t, one, im)
	if l := im.Listeners[at(0)]; l.Kind != kernel.Closed {
		t.Fatalf("removed: %+v", l)
	}
	if again := mustBuild(t, one, im); again.Listeners[at(0)].Kind != kernel.Closed {
		t.Error("another reload does away with its flows")
	}
	busy := kernel.Sweep{VIPs: map[uint16]uint64{vip: 9}, Listeners: map[uint16]uint64{im.Listeners[at(0)].ID: 1}}
	if kept, _ := im.Collect(busy); kept.Listeners[at(0)].Kind != kernel.Closed {
		t.Error("collected with a flow")
	}
	busy.Listeners = nil
	collected, changed := im.Collect(busy)
	if l := collected.Listeners[at(0)]; !changed || l != (kernel.Listener{VIP: vip, Kind: kernel.Mark}) {
		t.Errorf("collected: %+v, changed %v", l, changed)
	}
	if again := mustBuild(t, one, collected); !reflect.DeepEqual(again, collected) {
		t.Error("what was collected is not what the file gives")
	}
	gone := mustBuild(t, "interfaces: [eth0]\nservices: {}\n", mustBuild(t, allYAML, New()))
	if last, _ := gone.Collect(kernel.Sweep{}); len(last.Listeners) != 0 || len(last.VIPs) != 0 {
		t.Errorf("left: %+v %+v", last.Listeners, last.VIPs)
	}
}

// A port that the file no longer has is not refused to players while a listener of all ports has it.
func TestAPortFallsToTheListenerOfAllPorts(t *testing.T) {
	dsr := strings.Replace(allYAML, "nat", "dsr", 1)
	for _, row := range []struct {
		name, with, without string
		want                kernel.ListenerKind
		stays               bool
	}{
		{"of another service, without nat", strings.Replace(both("dsr", port80, "{address: 10.0.0.2}"), "nat", "dsr", 1), dsr, 0, false},
		{"of the same service in nat", strings.Replace(allYAML, "port: all}\n", "port: all}\n      - "+port80+"\n", 1), allYAML, 0, false},
		{"of another service in nat", both("nat", port80, "{address: 10.0.0.2}"), allYAML, kernel.Closed, true},
		{"whose backends have a port of their own", strings.Replace(strings.Replace(allYAML, "port: all", "port: 80", 1), "10.0.0.1", "10.0.0.1, port: 8080", 1), strings.Replace(allYAML, "10.0.0.1", "10.0.0.9", 1), kernel.Open, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			im := mustBuild(t, row.without, mustBuild(t, row.with, New()))
			l, stays := im.Listeners[at(80)]
			if stays != row.stays || l.Kind != row.want {
				t.Errorf("port 80: %+v, %v", l, stays)
			}
			if im.Listeners[at(0)].Kind != kernel.Open {
				t.Errorf("all ports: %+v", im.Listeners[at(0)])
			}
		})
	}
}

// The flows that are there stay with their backends, whose replies are known as before.
func TestAPortIsTakenOutOfAListenerOfAllPorts(t *testing.T) {
	im := mustBuild(t, allYAML, New())
	next := mustBuild(t, both("nat", port80, "{address: 10.0.0.2, port: 8080}"), im)
	if l := next.Listeners[at(80)]; l.Kind != kernel.Open || l.VIP != im.Listeners[at(0)].VIP || l.Service == 1 {
		t.Errorf("%+v", l)
	}
	if len(next.Replies) != 2 {
		t.Errorf("%+v", next.Replies)
	}
	_, _, err := build(t, both("dsr", port80, "{address: 10.0.0.2}"), im, state.State{})
	if err == nil || !strings.Contains(err.Error(), "services.login.listeners: 203.0.113.20 tcp port 80 belongs to service shop, whose sessions go on") {
		t.Errorf("dsr out of nat: %v", err)
	}
}

// A closed listener's flows are answered from a socket at which the one of all ports has flows too.
func TestABackendThatAClosedListenerStillNeedsIsRefusedToOneOfAllPorts(t *testing.T) {
	old := strings.NewReplacer("203.0.113.20", "203.0.113.21", "port: all", "port: 80").Replace(allYAML)
	_, _, err := build(t, allYAML, mustBuild(t, old, New()), state.State{})
	want := "backend 10.0.0.1:80 would answer for 203.0.113.20 of all ports and for 203.0.113.21:80, and one of them is no longer in the file"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

package datapath

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// Two VIPs, one client address and port, one port: these are two flows.
func TestTwoVIPsNeverMergeTheirFlows(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		other := f
		other.to = netip.AddrPortFrom(otherVIP[f.family()], gamePort)
		w.establish(f)
		w.flip(green)
		w.expectMoves(moves{"green.new": 1}, func() { w.wantColour(other.flagged(syn), green) })
		w.expectMoves(moves{}, func() {
			w.wantColour(f.flagged(ack), blue)
			w.wantColour(other.flagged(ack), green)
		})
		if n := len(w.pins()); n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
	})
}

// TCP and UDP of one VIP, client and port are two flows as well; so are two ports of one listener's range.
func TestProtocolAndPortTellFlowsApart(t *testing.T) {
	for _, fam := range maps.Families() {
		w := mustWorld(t, options{flows: 1000}, 3)
		second := gameDatagram(fam)
		second.to = netip.AddrPortFrom(gameVIP[fam], gamePort2)
		w.send(gamePacket(fam, syn), gameDatagram(fam), second)
		if n := len(w.pins()); n != 3 {
			t.Errorf("%s: %d entries, want 3", familyName(fam), n)
		}
	}
}

// Ports are split or moved between listeners: the VIP id stays, and with it every flow.
func TestMovedPortsKeepTheirFlows(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.flip(green)
		w.must(w.PutListener(maps.Socket{Addr: f.to.Addr(), Port: gamePort, Protocol: tcp},
			maps.Listener{VIP: vipID(f.to.Addr(), tcp), Service: game, ID: 30}))
		w.expectMoves(moves{}, func() { w.wantColour(f.flagged(ack), blue) })
	})
}

// What a CPU knows of a listener ends with a change of it: of its kind, of what stands beside it, and of its being there.
func TestAChangedListenerIsKnownAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		opening := f.flagged(syn)
		at := maps.Socket{Addr: f.to.Addr(), Port: f.to.Port(), Protocol: maps.Protocol(f.proto)}
		w.send(opening)
		l, ok, err := w.Listener(at)
		if w.must(err); !ok {
			t.Fatal("the packet has no listener")
		}
		l.Kind = maps.Closed
		w.must(w.PutListener(at, l))
		if v, _ := w.run(t, opening.at(1).bytes()); v != drop {
			t.Errorf("a new flow to a closed listener: verdict %v", v)
		}
		w.must(w.RemoveListener(at))
		if v, _ := w.run(t, opening.bytes()); v != pass {
			t.Errorf("without a listener: verdict %v", v)
		}
	})
}

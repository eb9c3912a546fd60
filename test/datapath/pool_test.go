package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// "No backend" is never asked before the flow is looked up.
func TestAnEmptyPoolCutsNobody(t *testing.T) {
	for name, empty := range map[string]func(w *world, f maps.Family){
		"no live generation": func(w *world, _ maps.Family) { w.SetSteer(game, maps.Steer{}) },
		"no table":           func(w *world, f maps.Family) { w.must(w.PutMaglev(blue, f, nil)) },
		"no listener for new ones": func(w *world, f maps.Family) {
			for _, s := range []maps.Socket{{Addr: gameVIP[f], Port: gamePort, Protocol: tcp}, {Addr: gameVIP[f], Port: gamePort, Protocol: udp}} {
				w.must(w.PutListener(s, maps.Listener{VIP: vipID(s.Addr, uint8(s.Protocol)), Service: game, Kind: maps.Closed}))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, w *world, f frame) {
				w.establish(f)
				w.send(f.at(2).flagged(syn))
				empty(w, f.family())
				w.wantColour(f.flagged(ack), blue)
				w.wantColour(f.at(2).flagged(ack), blue)
				w.wantColour(f.at(3).flagged(syn), 0)
				if n := len(w.pins()); n != 2 {
					t.Errorf("%d entries, want 2", n)
				}
				checkReleased(t, w)
			})
		})
	}
}

// A backend taken out of its pool keeps its sessions: they end by themselves.
func TestARemovedBackendKeepsItsSessions(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		id := w.pin(f).Backend
		rest := []uint16{11, 12, 13}
		for i, x := range rest {
			if x == id {
				rest = append(rest[:i], rest[i+1:]...)
				break
			}
		}
		w.must(w.PutMaglev(blue, f.family(), rest))
		if got := w.to(f.flagged(ack)); got != id {
			t.Errorf("its packet went to backend %d, not to %d", got, id)
		}
		for port := range uint16(32) {
			if got := w.to(f.at(1000 + port).flagged(syn)); got == id {
				t.Errorf("a new session went to the removed backend %d", id)
			}
		}
	})
}

// The next hop of a backend changes its MAC, goes and comes: its flows stay.
func TestAChangedNextHop(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		id := w.pin(f).Backend
		w.SetHop(f.family(), id, maps.Hop{})
		w.expectMoves(moves{"drop_unresolved": 1}, func() {
			if w.to(f.flagged(ack)) != 0 {
				t.Error("a packet was sent to an unresolved next hop")
			}
		})
		w.SetHop(f.family(), id, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(77)})
		if got := w.to(f.flagged(ack)); got != 77 {
			t.Errorf("sent to the MAC of %d, want that of 77", got)
		}
	})
}

// The highest ids work: 16 bits of backend, and no entry of one is taken for another's.
func TestTheHighestBackendID(t *testing.T) {
	w := mustWorld(t, options{flows: 1000, backends: 65536}, 1)
	for _, f := range maps.Families() {
		const last = 65535
		w.PutBackend(f, last, maps.Backend{Addr: backendAddr(f, last), Generation: blue, Service: game, Use: maps.InPool})
		w.SetHop(f, last, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(last)})
		w.must(w.PutMaglev(blue, f, []uint16{last}))
		w.send(gamePacket(f, syn), gamePacket(f, ack))
		if got := w.pin(gamePacket(f, ack)).Backend; got != last {
			t.Errorf("%s: pinned to %d", familyName(f), got)
		}
		if s := w.mustSweep(t); s.Sessions[last].Total() != uint64(1+f) {
			t.Errorf("%s: %+v", familyName(f), s)
		}
	}
}

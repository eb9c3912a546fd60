package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

func TestAHandshakeAcrossAFlipKeepsItsColour(t *testing.T) {
	for name, flags := range map[string][]uint8{
		"SYN, flip, ACK":            {ack},
		"SYN, flip, SYN again, ACK": {syn, ack},
		"SYN, flip, SYN, SYN, data": {syn, syn, ack | psh},
	} {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, w *world, f frame) {
				first := w.to(f.flagged(syn))
				w.flip(green)
				w.expectMoves(moves{}, func() {
					for _, x := range flags {
						if got := w.to(f.flagged(x)); got != first {
							t.Errorf("flags %#x go to backend %d, the first SYN went to %d", x, got, first)
						}
					}
				})
				w.expectMoves(moves{"green.new": 1}, func() { w.wantColour(f.at(2).flagged(syn), green) })
			})
		})
	}
}

// A datagram game has no handshake: the second packet goes where the first one went.
func TestTheSecondDatagramFollowsTheFirstAcrossAFlip(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		first := w.to(f.flagged(syn))
		w.flip(green)
		if second := w.to(f.flagged(ack)); second != first {
			t.Errorf("the second packet went to backend %d, the first to %d", second, first)
		}
	})
}

func TestPacketFlipPacketHits(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		slot := w.pin(f).Slot
		w.flip(green)
		w.expectMoves(moves{}, func() { w.wantColour(f.flagged(ack), blue) })
		if got := w.pin(f).Slot; got != slot {
			t.Errorf("the flow moved from slot %d to %d", slot, got)
		}
	})
}

func TestAFlowGrowsFromHalfOpenToEstablished(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.send(f.flagged(syn))
		w.wantState(f, maps.HalfOpen)
		w.send(f.flagged(ack))
		w.wantState(f, maps.Young)
		w.age(tillEstablished - 1)
		w.send(f.flagged(ack))
		w.wantState(f, maps.Young)
		w.send(f.flagged(ack))
		w.wantState(f, maps.Young)
		w.age(1)
		w.send(f.flagged(ack))
		w.wantState(f, maps.Established)
	})
}

// A SYN sent again is not a second step: SYNs alone never leave half-open.
func TestSYNsAloneStayHalfOpen(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		for range 5 {
			w.send(f.flagged(syn))
			w.age(tillEstablished)
		}
		w.wantState(f, maps.HalfOpen)
	})
}

// In nat time proves nothing and the backend's answer everything, once the client has taken its second step.
func TestInNATOnlyTheBackendsAnswerEstablishes(t *testing.T) {
	for _, fam := range maps.Families() {
		for name, f := range map[string]frame{"TCP": shopPacket(fam, 0), "UDP": shopDatagram(fam)} {
			t.Run(familyName(fam)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 3)
				w.send(f.flagged(syn))
				id := w.pin(f).Backend
				w.send(f.answer(id, shopInner, syn|ack))
				w.wantState(f, maps.HalfOpen)
				w.send(f.flagged(ack))
				w.wantState(f, maps.Young)
				w.age(2 * tillEstablished)
				w.send(f.flagged(ack))
				w.wantState(f, maps.Young)
				w.send(f.answer(id, shopInner, ack))
				w.wantState(f, maps.Established)
			})
		}
	}
}

package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// ends are the packets that mark a flow closing.
var ends = map[string]uint8{"FIN": fin | ack, "RST": rst, "RST and ACK": rst | ack}

func TestAPortUsedAgainAfterTheEndIsANewSessionAtOnce(t *testing.T) {
	for name, flags := range ends {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, w *world, f frame) {
				w.establish(f)
				slot := w.pin(f).Slot
				w.flip(green)
				w.wantColour(f.flagged(flags), blue)
				w.expectMoves(moves{"green.new": 1}, func() { w.wantColour(f.flagged(syn), green) })
				w.wantState(f, maps.HalfOpen)
				if got := w.pin(f).Slot; got != slot {
					t.Errorf("the new session took slot %d beside its own %d", got, slot)
				}
			})
		})
	}
}

func TestAForgedEndEndsNothing(t *testing.T) {
	for name, flags := range ends {
		for after, next := range map[string]frame{
			"data":                         {flags: ack | psh, seq: 5000, payload: []byte("still here")},
			"data where the FIN had been":  {flags: ack | psh, seq: 1001, payload: []byte("still here")},
			"an ACK of something else":     {flags: ack, seq: 5000, ack: 6000},
			"a FIN's end, seen in an ACK,": {flags: ack | psh, seq: 7, ack: 1001, payload: []byte("data")},
		} {
			t.Run(name+", then "+after, func(t *testing.T) {
				eachFamily(t, func(t *testing.T, w *world, f frame) {
					w.establish(f)
					w.flip(green)
					w.expectMoves(moves{}, func() {
						w.wantColour(f.flagged(flags), blue)
						w.wantState(f, maps.Closing)
						g := f.flagged(next.flags).with(next.payload)
						g.seq, g.ack = next.seq, next.ack
						w.wantColour(g, blue)
						w.wantState(f, maps.Established)
					})
					w.age(standard[maps.TCPClosing] + 1)
					w.wantColour(f.flagged(ack), blue)
				})
			})
		}
	}
}

// A young flow that a forged RST marked comes back young: a forger cannot make it established.
func TestARevivedYoungFlowIsYoung(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.send(f.flagged(syn), f.flagged(ack), f.flagged(rst), f.flagged(ack))
		w.wantState(f, maps.Young)
	})
}

// Frames of 60 bytes are padded: what is behind the packet is no data, and revives nothing.
func TestTheLastACKsOfARealCloseOnlyRenewItsTimeout(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		f.padding = 6
		end := f.flagged(fin | ack)
		w.send(end)
		last := f.flagged(ack)
		last.seq = end.seq + 1
		for range 3 {
			w.age(standard[maps.TCPClosing])
			w.send(last)
			w.wantState(f, maps.Closing)
		}
		w.age(standard[maps.TCPClosing] + 1)
		if s := w.total(); s.Freed != 1 {
			t.Errorf("%d entries freed once the closing timeout has passed, want 1", s.Freed)
		}
	})
}

// A FIN with data ends behind the data.
func TestAFINThatCarriesDataEndsBehindIt(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		end := f.flagged(fin | ack | psh).with([]byte("bye"))
		w.send(end)
		last := f.flagged(ack)
		last.seq = end.seq + 4
		w.send(last)
		w.wantState(f, maps.Closing)
	})
}

// In nat the backend's close passes here too: the client's ACK of its FIN confirms it.
func TestACloseByTheBackend(t *testing.T) {
	for _, fam := range maps.Families() {
		t.Run(familyName(fam), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 3)
			f := shopPacket(fam, 0)
			w.establish(f)
			end := f.answer(w.pin(f).Backend, shopInner, fin|ack)
			w.send(end)
			w.wantState(f, maps.Closing)
			confirm := f.flagged(ack)
			confirm.ack = end.seq + 1
			w.send(confirm)
			w.wantState(f, maps.Closing)
			both := f.flagged(fin | ack)
			both.ack = end.seq + 1
			w.send(both)
			last := end.flagged(ack)
			last.seq, last.ack = end.seq+1, both.seq+1
			w.send(last)
			w.wantState(f, maps.Closing)
		})
	}
}

// A FIN that overtakes the last data does not decide: the data revives the flow, and a FIN sent again ends it.
func TestAFINOutOfOrder(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		end := f.flagged(fin | ack)
		end.seq += 4
		w.send(end)
		w.send(f.flagged(ack | psh).with([]byte("last")))
		w.wantState(f, maps.Established)
		w.send(end)
		w.wantState(f, maps.Closing)
	})
}

// A late packet of the old connection hits the new one's entry: it changes no pin.
func TestALatePacketOfTheOldConnection(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.send(f.flagged(fin | ack))
		w.flip(green)
		w.wantColour(f.flagged(syn), green)
		w.expectMoves(moves{}, func() {
			w.wantColour(f.flagged(ack|psh).with([]byte("late")), green)
			w.wantColour(f.flagged(rst), green)
			w.wantColour(f.flagged(ack|psh).with([]byte("new")), green)
		})
		w.wantState(f, maps.Young)
	})
}

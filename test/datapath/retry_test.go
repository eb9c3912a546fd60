package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// The first SYN was refused, which in dsr nobody sees; the client keeps its port and tries again. Its next connection is a
// new session, however soon it comes and however often the one before was tried.
func TestAnotherSYNOnAHalfOpenFlowIsANewSession(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.wantColour(f.flagged(syn), blue)
		slot := w.pin(f).Slot
		w.flip(green)
		w.expectMoves(moves{}, func() { w.wantColour(f.flagged(syn), blue) })
		next := f.flagged(syn)
		next.seq += 64000
		w.expectMoves(moves{"green.new": 1}, func() {
			w.wantColour(next, green)
			w.wantColour(next, green)
		})
		if got := w.pin(f).Slot; got != slot {
			t.Errorf("the new session took slot %d beside its own %d", got, slot)
		}
	})
}

// A stray packet pins a half-open flow on the draining colour, whose backend answers it with a RST; then the client comes.
func TestASYNBehindAStrayPacketIsANewSession(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.flip(green)
		w.wantColour(f.flagged(ack), blue)
		next := f.flagged(syn)
		next.seq += 64000
		w.expectMoves(moves{"green.new": 1}, func() { w.wantColour(next, green) })
	})
}

// A SYN of TCP Fast Open that is sent again may come without its data.
func TestASYNSentAgainWithoutItsDataIsTheSame(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.wantColour(f.flagged(syn).with([]byte("hello")), blue)
		w.flip(green)
		w.expectMoves(moves{}, func() { w.wantColour(f.flagged(syn), blue) })
	})
}

// The last data was lost and is sent again behind the FIN, which arrived: only the ACK of the other side's FIN is to come,
// and it ends the flow.
func TestACloseWhoseLastDataIsSentAgainEndsWithTheLastACK(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		data := f.flagged(ack | psh).with([]byte("last"))
		end := f.flagged(fin | ack)
		end.seq = data.seq + 4
		w.send(end)
		w.send(data)
		w.wantState(f, maps.Established)
		w.age(1)
		last := f.flagged(ack)
		last.seq = end.seq + 1
		w.send(last)
		w.wantState(f, maps.Closing)
		w.age(standard[maps.TCPClosing] + 1)
		if s := w.total(); s.Freed != 1 {
			t.Errorf("%d entries freed once the closing timeout has passed, want 1", s.Freed)
		}
	})
}

// Data from behind it shows that a FIN was forged: an ACK with its number ends nothing any more.
func TestAFINThatDataRefutedIsForgotten(t *testing.T) {
	eachFamily(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		w.send(f.flagged(fin | ack))
		data := f.flagged(ack | psh).with([]byte("still here"))
		data.seq++
		w.send(data)
		same := f.flagged(ack)
		same.seq = data.seq
		w.send(same)
		w.wantState(f, maps.Established)
	})
}

// A nat flow whose replies no pin leads back can't be served unpinned.
func TestInNATWhatFindsNoSlotIsDropped(t *testing.T) {
	for _, fam := range maps.Families() {
		for name, f := range map[string]frame{"SYN": shopPacket(fam, 0).flagged(syn), "stray ACK": shopPacket(fam, 0).flagged(ack), "datagram": shopDatagram(fam)} {
			t.Run(familyName(fam)+" "+name, func(t *testing.T) {
				w := mustWorld(t, tiny, 3)
				w.fill(fam, w.allSlots(fam))
				w.expectMoves(moves{"drop_table_full": 1}, func() {
					if got, _ := w.run(t, f.bytes()); got != drop {
						t.Errorf("verdict %v", got)
					}
				})
			})
		}
	}
}

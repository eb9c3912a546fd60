package datapath

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// A packet for each value that a checksum can have: the identification field takes the IPv4 header's through all of
// them, the payload the transport's. What comes out has the checksums of a packet built anew.
func TestEveryChecksumIsUpdatedAsIfComputedInFull(t *testing.T) {
	for _, f := range maps.Families() {
		for proto, first := range map[string]frame{"TCP": shopPacket(f, ack), "UDP": shopDatagram(f)} {
			t.Run(familyName(f)+" "+proto, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(first.flagged(syn))
				back := first.answer(31, shopInner, ack)
				w.everyChecksum(t, first, func(in frame) frame { return in.translated(31, shopInner) })
				w.everyChecksum(t, back, frame.returned)
			})
		}
	}
}

// everyChecksum runs a packet with all 65,536 values of a payload word.
func (w *world) everyChecksum(t *testing.T, base frame, want func(frame) frame) {
	t.Helper()
	zero := 0
	for x := range 1 << 16 {
		in := base.with(binary.BigEndian.AppendUint16(nil, uint16(x)))
		in.id = uint16(x)
		v, out := w.run(t, in.bytes())
		if expect := want(in).bytes(); v != tx || !bytes.Equal(out, expect) {
			t.Fatalf("word %#x: verdict %v\n% x, want\n% x", x, v, out, expect)
		}
		if transportChecksum(in, out) == 0 {
			zero++
		}
	}
	if base.proto == udp && zero != 0 {
		t.Errorf("%d datagrams left with checksum 0, which says that they have none", zero)
	}
}

// transportChecksum reads the checksum of a frame of this shape.
func transportChecksum(f frame, b []byte) uint16 {
	at := len(b) - len(f.payload) - 2
	if f.proto == tcp {
		at = len(b) - len(f.payload) - 4
	}
	return binary.BigEndian.Uint16(b[at:])
}

func TestAComputedChecksumOf0GoesAs0xffff(t *testing.T) {
	for _, f := range maps.Families() {
		w := mustWorld(t, options{flows: 1000}, 1)
		in := shopDatagram(f).with([]byte{0, 0})
		// The payload word that makes the outgoing sum 0: the complement of what the rest sums up to.
		rest := in.translated(31, shopInner)
		word := transportChecksum(rest, rest.bytes())
		in = in.with(binary.BigEndian.AppendUint16(nil, word))
		v, out := w.run(t, in.bytes())
		if got := transportChecksum(in, out); v != tx || got != 0xffff {
			t.Errorf("%s: verdict %v, checksum %#x, want 0xffff", familyName(f), v, got)
		}
	}
}

// Wrong checksums stay wrong by as much: they are changed, never made up. The backend has to be able to tell.
func TestAWrongChecksumStaysWrong(t *testing.T) {
	w := mustWorld(t, options{flows: 1000}, 1)
	in := shopPacket(maps.IPv4, syn)
	broken := in.bytes()
	broken[50] ^= 0x55
	v, out := w.run(t, broken)
	if good := in.translated(31, shopInner).bytes(); v != tx || bytes.Equal(out, good) {
		t.Errorf("verdict %v: a broken packet came out whole", v)
	}
}

package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// In nat the packet comes out as if it had been built for the backend: checksums are compared with ones computed in
// full.
func TestNAT(t *testing.T) {
	var rows []row
	for _, f := range maps.Families() {
		for name, in := range shapes(f, shopPacket(f, syn), shopDatagram(f)) {
			rows = append(rows, forwarded(familyName(f)+" "+name, in, in.translated(31, shopInner), began("shop-blue", in.bytes())))
		}
		for name, out := range shapes(f, shopPacket(f, syn|ack), shopDatagram(f)) {
			rows = append(rows, answerRow(familyName(f)+" answer: "+name, out))
		}
	}
	runRows(t, rows)
}

// answerRow: a client's first packet, then the backend's answer, shaped like it.
func answerRow(name string, like frame) row {
	in := like.answer(31, shopInner, uint16(like.flags))
	return forwarded(name, in, in.returned(), moves{}).given(func(w *world) {
		first := like.flagged(syn)
		w.send(first)
	})
}

func TestNATKeepsThePortWhenTheBackendHasNone(t *testing.T) {
	var rows []row
	for _, f := range maps.Families() {
		keep := func(w *world) {
			b := w.Backends(f)[31]
			b.Port = 0
			w.PutBackend(f, 31, b)
			w.SetHop(f, 31, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(31)})
			w.putReplies(f, backendAddr(f, 31), shopPort)
		}
		in := shopPacket(f, syn)
		back := in.answer(31, shopPort, syn|ack)
		rows = append(rows,
			forwarded(familyName(f), in, in.translated(31, shopPort), began("shop-blue", in.bytes())).given(keep),
			forwarded(familyName(f)+" answer", back, back.returned(), moves{}).given(func(w *world) {
				keep(w)
				w.send(in)
			}),
		)
	}
	runRows(t, rows)
}

// The way back is the next hop that the client's packets came from last.
func TestAnswersFollowTheClientToItsNextHop(t *testing.T) {
	other := mac{0x02, 0, 0, 0, 0, 0xbb}
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.send(shopPacket(f, syn), shopPacket(f, ack).change(func(f *frame) { f.src = other }))
			back := shopPacket(f, ack).answer(31, shopInner, ack)
			want := back.returned()
			want.dst = other
			forwarded("", back, want, moves{}).check(t, w)
		})
	}
}

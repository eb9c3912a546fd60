package datapath

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// In nat the packet comes out as if it had been built for the backend: checksums are compared with ones computed in
// full.
func TestNAT(t *testing.T) { runRows(t, natRows()) }

func natRows() (rows []row) {
	for _, f := range maps.Families() {
		for name, in := range shapes(f, shopPacket(f, syn), shopDatagram(f)) {
			rows = append(rows, forwarded(familyName(f)+" "+name, in, in.translated(31, shopInner), began("shop-blue", in.bytes())))
		}
		for name, out := range shapes(f, shopPacket(f, syn|ack), shopDatagram(f)) {
			rows = append(rows, answerRow(familyName(f)+" answer: "+name, out))
		}
	}
	return rows
}

// answerRow: a client's first packet, then the backend's answer, shaped like it.
func answerRow(name string, like frame) row {
	in := like.answer(31, shopInner, uint16(like.flags))
	back := in.returned()
	back.tags = like.tags
	return forwarded(name, in, back, moves{}).given(func(w *world) {
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

// A flow is kept alive, established or ended by the backend that it is pinned to, and by no other: not where most flows
// lie, and not in the overflow.
func TestAnotherBackendsAnswerLeavesAFlowAlone(t *testing.T) {
	for _, place := range []string{"in its lines", "in the overflow"} {
		eachTiny(t, func(t *testing.T, w *world, f frame) {
			fam := f.family()
			if place == "in the overflow" {
				w.fill(fam, w.mainSlots(fam))
			}
			in := shopPacket(fam, syn)
			w.send(in, in.flagged(ack))
			before := w.pin(in)
			other := 31 + (before.Backend-31+1)%3
			passed(place, in.answer(other, shopInner, fin|ack).bytes(), "pass_no_flow").check(t, w)
			if after := w.pin(in); after != before {
				t.Errorf("%s: an answer of backend %d made %+v of %+v", place, other, after, before)
			}
		})
	}
}

// answers is what becomes of a packet on each of two CPUs, one after the other.
func (w *world) answers(t *testing.T, f frame, want verdict, out frame) {
	t.Helper()
	for cpu := range 2 {
		var v verdict
		var got []byte
		done := make(chan error)
		go func() { done <- onCPU(cpu, func(int) error { v, got = w.run(t, f.bytes()); return nil }) }()
		w.must(<-done)
		if v != want || !bytes.Equal(got, out.bytes()) {
			t.Errorf("on CPU %d: verdict %v, came out as\n%swant %v\n%s", cpu, v, hex.Dump(got), want, hex.Dump(out.bytes()))
		}
	}
}

// eachAnswer runs a test for an established flow of the shop and what its backend answers, by protocol and family.
func eachAnswer(t *testing.T, test func(t *testing.T, w *world, back frame)) {
	t.Helper()
	for _, f := range maps.Families() {
		for name, in := range map[string]frame{"TCP": shopPacket(f, 0), "UDP": shopDatagram(f)} {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 3)
				w.establish(in)
				test(t, w, in.answer(w.pin(in).Backend, shopInner, ack))
			})
		}
	}
}

// What each CPU knows of a backend's socket ends with a change of it: of the VIP that it answers for, and of its being there.
func TestAChangedSocketOfABackendIsKnownAtOnce(t *testing.T) {
	eachAnswer(t, func(t *testing.T, w *world, back frame) {
		at := maps.Socket{Addr: back.from.Addr(), Port: back.from.Port(), Protocol: maps.Protocol(back.proto)}
		w.answers(t, back, tx, back.returned())
		other := back.returned()
		other.from = netip.AddrPortFrom(otherVIP[back.family()], shopPort)
		w.must(w.PutReply(at, maps.Reply{VIP: other.from.Addr(), Port: shopPort, VIPID: vipID(shopVIP[back.family()], back.proto)}))
		w.answers(t, back, tx, other)
		w.must(w.RemoveReply(at))
		w.answers(t, back, pass, back)
	})
}

// A backend's other sockets are none of a service's, wherever a CPU has noted the one that is.
func TestABackendsOtherSocketsAreNotTheServices(t *testing.T) {
	eachAnswer(t, func(t *testing.T, w *world, back frame) {
		for port := range uint16(1000) { // each place is some port's
			w.send(back)
			other := back
			other.from = netip.AddrPortFrom(back.from.Addr(), 1000+port)
			if v, _ := w.run(t, other.bytes()); v != pass {
				t.Fatalf("an answer from port %d: verdict %v", 1000+port, v)
			}
		}
	})
}

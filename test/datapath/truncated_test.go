package datapath

import (
	"bytes"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// Every prefix of every packet: a frame cut off anywhere is passed untouched or dropped, never sent on.
func TestTruncatedAtEveryLength(t *testing.T) {
	w := mustWorld(t, options{flows: 1000}, 1)
	for _, f := range maps.Families() {
		w.send(shopPacket(f, syn), shopDatagram(f), gamePacket(f, syn), gameDatagram(f))
		for name, whole := range truncatable(f) {
			w.tb = t
			frame := whole.bytes()
			for length := ethernetHeader; length < len(frame)-whole.padding; length++ {
				w.checkCut(t, familyName(f)+" "+name, frame[:length])
			}
		}
	}
	checkReleased(t, w)
}

// ethernetHeader is the least that BPF_PROG_TEST_RUN takes.
const ethernetHeader = 14

func truncatable(f maps.Family) map[string]frame {
	out := shapes(f, gamePacket(f, ack), gameDatagram(f))
	for name, in := range shapes(f, shopPacket(f, ack), shopDatagram(f)) {
		out["nat "+name] = in
		out["answer "+name] = in.answer(31, shopInner, ack)
	}
	return out
}

func (w *world) checkCut(t *testing.T, name string, cut []byte) {
	t.Helper()
	before := w.counters(t)
	v, out := w.run(t, cut)
	moved := w.counters(t).since(before)
	want := classify(cut)
	if !want.matches(v, moved) {
		t.Errorf("%s cut to %d bytes: verdict %v, moved %v, want %v", name, len(cut), v, moved, want)
	}
	if v != pass && v != drop {
		t.Errorf("%s cut to %d bytes: verdict %v", name, len(cut), v)
	}
	if !bytes.Equal(out, cut) {
		t.Errorf("%s cut to %d bytes came out changed", name, len(cut))
	}
}

// checkReleased: no stripe is held and no slot is claimed when no packet is under way.
func checkReleased(t testing.TB, w *world) {
	t.Helper()
	var key uint32
	var stripe [8]uint64
	for it := w.maps["stripes"].Iterate(); it.Next(&key, &stripe); {
		if stripe[0] != 0 {
			t.Errorf("stripe %d is held", key)
		}
	}
	for _, f := range maps.Families() {
		for slot := range w.SlotCount(f) {
			if w.Meta(f, slot).State() == maps.Claimed {
				t.Errorf("%s slot %d is claimed", familyName(f), slot)
			}
		}
	}
}

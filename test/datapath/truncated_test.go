package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

// Every prefix of every packet: a frame cut off anywhere is passed untouched or dropped, never sent on.
func TestTruncatedAtEveryLength(t *testing.T) {
	w := mustWorld(t, options{flows: 1000}, 1)
	s := w.modelled(t)
	for _, f := range maps.Families() {
		for _, in := range []frame{shopPacket(f, syn), shopDatagram(f), gamePacket(f, syn), gameDatagram(f)} {
			s.mustAgree(in.bytes())
		}
		for name, whole := range truncatable(f) {
			frame := whole.bytes()
			for length := ethernetHeader; length < len(frame)-whole.padding; length++ {
				s.checkCut(t, familyName(f)+" "+name, frame[:length])
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

func (s *scene) checkCut(t *testing.T, name string, cut []byte) {
	t.Helper()
	if err := s.step(cut, false); err != nil {
		t.Errorf("%s cut to %d bytes: %v", name, len(cut), err)
	}
	if v := s.last.Verdict; v != model.Pass && v != model.Drop {
		t.Errorf("%s cut to %d bytes: verdict %v", name, len(cut), v)
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

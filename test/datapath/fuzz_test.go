package datapath

import (
	"bytes"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// FuzzParse feeds raw frames to the program: what it makes of one has to be what a plain parser makes of it, and what
// it does not send on comes out untouched.
func FuzzParse(f *testing.F) {
	for _, fam := range maps.Families() {
		for _, in := range truncatable(fam) {
			f.Add(in.bytes())
		}
		for _, r := range malformedRows(fam) {
			f.Add(r.in)
		}
		f.Add(toVIP(somewhere[fam], tcp, gamePort, syn).bytes())
		f.Add(gameDatagram(fam).change(func(f *frame) { f.frag, f.extensions = 0x2000, []extension{{44, make([]byte, 7)}} }).bytes())
	}
	w := mustWorld(f, options{flows: 1000}, 1)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < ethernetHeader || len(in) > 3000 {
			t.Skip("more or less than BPF_PROG_TEST_RUN takes")
		}
		w.checkParsed(t, in)
	})
}

func (w *world) checkParsed(t *testing.T, in []byte) {
	before := w.counters(t)
	v, out := w.run(t, in)
	moved := w.counters(t).since(before)
	want := classify(in)
	if !want.matches(v, moved) {
		t.Errorf("verdict %v, moved %v, want %v: % x", v, moved, want, in)
	}
	if want != served && !bytes.Equal(out, in) {
		t.Errorf("%v, and it came out changed: % x", want, out)
	}
}

package datapath

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"testing"
)

// row is one packet through a fresh world: what goes in, what comes out, and every counter that moves.
type row struct {
	name    string
	flows   uint32       // max_flows; 0: 1,000
	before  func(*world) // what is there already; its packets are not judged
	in      []byte
	verdict verdict
	out     []byte // nil: as it came in
	moves   moves
}

// passed is a row whose packet goes to the kernel untouched.
func passed(name string, in []byte, reason string) row {
	return row{name: name, in: in, verdict: pass, moves: moves{reason: 1}}
}

// dropped is a row whose packet ends here.
func dropped(name string, in []byte, reason string) row {
	return row{name: name, in: in, verdict: drop, moves: moves{reason: 1}}
}

// forwarded is a row whose packet leaves where it came in.
func forwarded(name string, in, out frame, m moves) row {
	return row{name: name, in: in.bytes(), verdict: tx, out: out.bytes(), moves: m}
}

// given is the row with something there before.
func (r row) given(before func(*world)) row {
	r.before = before
	return r
}

// runRows gives each row its own world, with one backend a generation.
func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			w := mustWorld(t, options{flows: cmp.Or(r.flows, 1000)}, 1)
			if r.before != nil {
				r.before(w)
			}
			r.check(t, w)
		})
	}
}

func (r row) check(t *testing.T, w *world) {
	t.Helper()
	before := w.counters(t)
	got, out := w.run(t, r.in)
	r.judge(t, got, out, w.counters(t).since(before))
}

func (r row) judge(t *testing.T, got verdict, out []byte, moved moves) {
	t.Helper()
	want := r.out
	if want == nil {
		want = r.in
	}
	if got != r.verdict {
		t.Errorf("verdict %v, want %v", got, r.verdict)
	}
	if !bytes.Equal(out, want) {
		t.Errorf("out\n%swant\n%s", hex.Dump(out), hex.Dump(want))
	}
	if moved.String() != r.moves.String() {
		t.Errorf("moved %v, want %v", moved, r.moves)
	}
}

// send runs packets that set a scene; each has to be forwarded.
func (w *world) send(frames ...frame) {
	w.tb.Helper()
	for _, f := range frames {
		if v, _ := w.run(w.tb, f.bytes()); v != tx {
			w.tb.Fatalf("setting the scene: verdict %v for %+v", v, f)
		}
	}
}

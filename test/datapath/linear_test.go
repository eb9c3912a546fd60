package datapath

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/maps"
)

// runSplit sends a frame whose first buffer holds just so many bytes, as drivers do that split headers from data.
func (p *plane) runSplit(tb testing.TB, in []byte, first int) (verdict, []byte) {
	tb.Helper()
	opts := ebpf.RunOptions{
		Data: in, DataOut: make([]byte, len(in)+64), Context: xdpContext{DataEnd: uint32(first), IngressIfindex: inside},
	}
	ret, err := p.program.Run(&opts)
	if err != nil {
		tb.Fatalf("run %d bytes, %d of them in the first buffer: %v", len(in), first, err)
	}
	return verdict(ret), opts.DataOut
}

// headerBytes is how much of a frame its headers are.
func (f frame) headerBytes() int {
	return len(f.change(func(f *frame) { f.payload, f.padding = nil, 0 }).bytes())
}

// The first buffer may end right behind the headers, or anywhere later: lengths are the packet's all the same.
func TestHeadersInABufferOfTheirOwn(t *testing.T) {
	needsKernel(t, 6, 18, "test runs with a short first buffer")
	eachRoute(t, func(t *testing.T, w *world, r route) {
		for _, size := range []int{300, 1400, 9000} {
			in := r.whole.sized(size).change(twiceTagged)
			want := in
			if r.want != nil {
				want = r.want(in)
			}
			for _, first := range []int{in.headerBytes(), in.headerBytes() + 1, 200} {
				before := w.counters(t)
				v, out := w.runSplit(t, in.bytes(), first)
				if r.want == nil {
					want = in.relayed(51, in.family(), readOuter(out, 0))
				}
				row{verdict: tx, out: want.bytes(), moves: r.moves(in)}.judge(t, v, out, w.counters(t).since(before))
			}
		}
	})
}

// What is built of the packet's data needs it in the first buffer; where it is not, the packet is dropped and counted as what
// it is.
func TestWhatIsBuiltOfASplitPacket(t *testing.T) {
	needsKernel(t, 6, 18, "test runs with a short first buffer")
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			in := gamePacket(f, ack)
			w.send(in.flagged(syn), in)
			w.narrow(f, 11, room)
			big := in.sized(1400)
			split := func(first int, r row) {
				before := w.counters(t)
				v, out := w.runSplit(t, r.in, first)
				r.judge(t, v, out, w.counters(t).since(before))
			}
			split(big.headerBytes(), dropped("", big.bytes(), "drop_too_big"))
			split(14+quoteBytes-1, dropped("", big.bytes(), "drop_too_big"))
			split(14+quoteBytes, forwarded("", big, big.told(room), moves{"event_too_big": 1}))
			request := echoRequest(f).with(make([]byte, 500))
			split(request.headerBytes(), forwarded("", request, echoReply(f).with(make([]byte, 500)), moves{"event_echo": 1}))
			w.setState(f, maps.Evicting, false)
			told := sent("blue", big.resetOf().bytes()).and(moves{"event_reset_backend": 1, "blue.moved": 1})
			split(big.headerBytes(), forwarded("", big, big.resetOf().steered(11), told))
			split(big.headerBytes(), forwarded("", big, big.resetFor(), moves{"event_reset_client": 1}))
		})
	}
}

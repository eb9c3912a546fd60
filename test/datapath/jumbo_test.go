package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// jumbo sizes: the last that one buffer holds in a test run, the first that it does not, and as large as links have them.
var jumbo = []int{3500, 3521, 4096, 8986, 9000, 15000}

// Jumbo frames lie in several buffers; headers in the first one are all that is looked at, lengths are those of the packet.
func TestJumboFrames(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		for _, size := range jumbo {
			for _, change := range []func(*frame){func(*frame) {}, tagged, twiceTagged, func(f *frame) { f.padding = 9 }} {
				in := r.whole.sized(size).change(change)
				want := in
				if r.want != nil {
					want = r.want(in)
				}
				w.checkFragment(t, r, in, want, true)
				in = in.change(func(f *frame) { f.padding, f.lengthDelta = 0, 1 })
				if isVIP(in.to.Addr()) {
					dropped("a byte less than promised", in.bytes(), "drop_malformed").check(t, w)
				}
			}
		}
	})
}

// Other verdicts about jumbo frames: echo, errors and fragments, answers to what is too big, sessions that leave.
func TestWhatIsMadeOfJumboFrames(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			in := gamePacket(f, ack)
			w.send(in.flagged(syn), in)
			request, reply := echoRequest(f).with(make([]byte, 8900)), echoReply(f).with(make([]byte, 8900))
			forwarded("echo", request, reply, moves{"event_echo": 1}).check(t, w)
			about := aboutPacket(f, fromVIP(in).with(make([]byte, 6000)), 5000, errorKinds(f)[3])
			forwarded("error", about, about.steered(11), sent("blue", about.bytes()).and(moves{"event_icmp_error": 1})).check(t, w)
			for i, part := range in.with(make([]byte, 20000)).split(8000) {
				m := moves{"event_fragment": 1}
				if i == 0 {
					m = moves{}
				}
				forwarded("fragment", part, part.steered(11), sent("blue", part.bytes()).and(m)).check(t, w)
			}
			w.narrow(f, 11, 1500)
			big := in.sized(9000).change(twiceTagged)
			forwarded("too big", big, big.told(1500), moves{"event_too_big": 1}).check(t, w)
			w.setState(f, maps.Evicting, false)
			forwarded("RST for the backend", big, big.resetOf().steered(11),
				sent("blue", big.resetOf().bytes()).and(moves{"event_reset_backend": 1, "blue.moved": 1})).check(t, w)
			forwarded("RST for the client", big, big.resetFor(), moves{"event_reset_client": 1}).check(t, w)
		})
	}
}

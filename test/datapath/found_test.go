package datapath

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// What random worlds have found.

// A quote ends with its packet. What a link puts behind a frame is neither quoted nor summed: an error comes out as it
// would without.
func TestAQuoteEndsWithItsPacket(t *testing.T) {
	for _, f := range maps.Families() {
		for name, in := range map[string]frame{"TCP": shopPacket(f, ack), "UDP": shopDatagram(f)} {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(in.flagged(syn))
				bare := errorAbout(f, fromVIP(in), [2]int{20, 40}[f]+8)
				_, want := w.run(t, bare.bytes())
				want = append(slices.Clone(want), bytes.Repeat([]byte{0xa5}, 20)...)
				if _, out := w.run(t, bare.change(func(f *frame) { f.padding = 20 }).bytes()); !bytes.Equal(out, want) {
					t.Errorf("came out as\n%swant\n%s", hex.Dump(out), hex.Dump(want))
				}
			})
		}
	}
}

// A datagram is noted once, wherever its line has room: an old note would be found when the new one has made room.
func TestADatagramIsNotedOnce(t *testing.T) {
	for _, f := range maps.Families() {
		w := mustWorld(t, options{flows: 1000}, 1)
		first := gameDatagram(f).change(func(p *frame) {
			p.frag = 0x2000
			p.extensions = []extension{{44, []byte{0, 0, 1, 0, 0, 0, 9}}}
		})
		s := w.modelled(t)
		s.mustAgree(first.bytes())
		for at := range s.m.Fragments {
			var line [4][2]uint64
			w.must(w.maps["fragments"].Lookup(at, &line))
			noted := line[0]
			line[0], line[1] = [2]uint64{noted[0] + 2, noted[1] | 0x800<<4}, noted // behind one that is too old
			w.must(w.maps["fragments"].Put(at, line))
			w.send(first)
			w.must(w.maps["fragments"].Lookup(at, &line))
			if line[0][0] == noted[0] && line[1][0] == noted[0] {
				t.Errorf("%s: noted twice: %x", familyName(f), line)
			}
		}
	}
}

// A sweep counts the flows of a listener of all ports as its own: it would be taken away while it has some.
func TestASweepCountsTheFlowsOfAListenerOfAllPorts(t *testing.T) {
	for _, f := range maps.Families() {
		w := mustWorld(t, options{flows: 1000}, 1)
		const all = 60
		w.putListener(gameVIP[f], udp, 0, maps.Listener{Service: game, ID: all})
		w.must(w.PutVIP(vipID(gameVIP[f], udp), maps.VIP{Addr: gameVIP[f], Protocol: udp})) // it has several
		w.send(toVIP(gameVIP[f], udp, 5000, 0), toVIP(gameVIP[f], udp, 5001, 0))
		if n := w.mustSweep(t).Listeners[all]; n != 2 {
			t.Errorf("%s: counted %d of 2", familyName(f), n)
		}
	}
}

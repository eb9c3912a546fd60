package datapath

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// fragmentTicks is how long a datagram in fragments may take.
const fragmentTicks = 30

// split cuts a packet into fragments, each but the last with so many bytes, a multiple of eight. Put together again they
// are the packet: its checksum is that of the whole.
func (f frame) split(each int) (out []frame) {
	whole := f.transport()
	for at := 0; at < len(whole); at += each {
		part := f
		part.body = whole[at:min(at+each, len(whole))]
		more := uint16(0)
		if at+each < len(whole) {
			more = 1
		}
		if f.family() == maps.IPv4 {
			part.frag = more<<13 | uint16(at/8)
		} else {
			part.extensions = append(append([]extension{}, f.extensions...), fragmentHeader(uint16(at)|more, uint32(f.id)))
		}
		out = append(out, part)
	}
	return out
}

// fragmentHeader is IPv6's, of an offset in bytes with the flag for more.
func fragmentHeader(offset uint16, id uint32) extension {
	body := binary.BigEndian.AppendUint16([]byte{0}, offset)
	return extension{44, binary.BigEndian.AppendUint32(body, id)}
}

// route is a way that a datagram takes: what makes its flow, the datagram, and what comes out of one that fits.
type route struct {
	name  string
	flow  frame // a client's packet of it
	whole frame
	want  func(frame) frame // nil: ipip, whose outer header differs
	moves func(frame) moves // of each fragment that is forwarded
}

// routes are those of each forwarding mode, both protocols, and nat's way back.
func routes(f maps.Family) (out []route) {
	body := bytes.Repeat([]byte("fragment"), 12)
	to := func(generation string) func(frame) moves {
		return func(f frame) moves { return sent(generation, f.bytes()) }
	}
	for proto, all := range map[string][3]frame{
		"TCP": {gamePacket(f, ack|psh), shopPacket(f, ack|psh), relayPacket(f, ack|psh)},
		"UDP": {gameDatagram(f), shopDatagram(f), relayDatagram(f)},
	} {
		dsr, nat, ipip := all[0].with(body), all[1].with(body), all[2].with(body)
		out = append(out,
			route{"dsr " + proto, dsr, dsr, func(f frame) frame { return f.steered(11) }, to("blue")},
			route{"nat " + proto, nat, nat, func(f frame) frame { return f.translated(31, shopInner) }, to("shop-blue")},
			route{"nat reply " + proto, nat, nat.answer(31, shopInner, ack), frame.returned, func(frame) moves { return moves{} }},
			route{"ipip " + proto, ipip, ipip, nil, to("relay")},
		)
	}
	return out
}

// begin makes a route's flow.
func (w *world) begin(r route) {
	w.tb.Helper()
	if v, _ := w.run(w.tb, r.flow.flagged(syn).bytes()); v != tx {
		w.tb.Fatalf("a new flow: verdict %v", v)
	}
}

// eachRoute runs a test for each.
func eachRoute(t *testing.T, test func(t *testing.T, w *world, r route)) {
	t.Helper()
	for _, f := range maps.Families() {
		for _, r := range routes(f) {
			t.Run(familyName(f)+" "+r.name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.begin(r)
				test(t, w, r)
			})
		}
	}
}

// checkFragment runs a fragment that is to be forwarded; whole is its datagram as it should come out, in fragments.
func (w *world) checkFragment(t *testing.T, r route, in, want frame, first bool) {
	t.Helper()
	m := r.moves(in)
	if !first {
		m = m.and(moves{"event_fragment": 1})
	}
	if r.want == nil {
		delete(m, "relay.packets")
		delete(m, "relay.bytes")
		w.checkRelayed(t, in, 51, in.family(), m)
		return
	}
	forwarded("", in, want, m).check(t, w)
}

// fragments of a route's datagram, and of what should come out.
func (r route) split(each int) (in, out []frame) {
	in = r.whole.split(each)
	if r.want == nil {
		return in, in
	}
	return in, r.want(r.whole).split(each)
}

// The first fragment is served as any packet, later ones go where it went: put together, what comes out is the whole
// datagram with its checksum, as if it had never been cut.
func TestFragmentsFollowTheirFirst(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		in, want := r.split(40)
		for i := range in {
			w.checkFragment(t, r, in[i], want[i], i == 0)
		}
	})
}

// Whatever the order: one that comes before its first is dropped and counted, all behind it are forwarded.
func TestShuffledFragments(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		for n, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 0, 1}, {1, 2, 0}, {2, 1, 0}} {
			datagram := r
			datagram.whole.id = uint16(100 + n)
			in, want := datagram.split(40)
			begun := false
			for _, i := range order {
				begun = begun || i == 0
				if begun {
					w.checkFragment(t, datagram, in[i], want[i], i == 0)
					continue
				}
				w.checkTooEarly(t, r, in[i])
			}
		}
	})
}

// checkTooEarly: a fragment whose first is not known goes no further; a backend's goes to the kernel.
func (w *world) checkTooEarly(t *testing.T, r route, in frame) {
	t.Helper()
	if isVIP(in.to.Addr()) {
		dropped("", in.bytes(), "drop_fragment").check(t, w)
		return
	}
	passed("", in.bytes(), "pass_not_ours").check(t, w)
}

// A datagram is told by source, destination, identification and protocol: a fragment that differs in one is of another.
func TestFragmentsOfAnotherDatagramDoNotFollow(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		in, want := r.split(40)
		w.checkFragment(t, r, in[0], want[0], true)
		for name, change := range map[string]func(*frame){
			"identification": func(f *frame) {
				f.id++
				if len(f.extensions) > 0 {
					f.extensions[len(f.extensions)-1].body = append([]byte{}, f.extensions[len(f.extensions)-1].body...)
					f.extensions[len(f.extensions)-1].body[6]++
				}
			},
			"source": func(f *frame) {
				if isVIP(f.to.Addr()) {
					f.from = netip.AddrPortFrom(f.from.Addr().Next(), 0)
				} else {
					f.to = netip.AddrPortFrom(f.to.Addr().Next(), 0)
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				other, _ := r.split(40)
				w.checkTooEarly(t, r, other[1].change(change))
			})
		}
		w.checkFragment(t, r, in[1], want[1], false)
	})
}

// The pin of a datagram lasts for 30 ticks.
func TestFragmentsExpire(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		in, want := r.split(40)
		w.checkFragment(t, r, in[0], want[0], true)
		w.ageFragments(fragmentTicks)
		w.checkFragment(t, r, in[1], want[1], false)
		w.ageFragments(1)
		w.checkTooEarly(t, r, in[2])
	})
}

// ageFragments lets ticks pass for what is noted of datagrams.
func (w *world) ageFragments(ticks uint64) {
	w.tb.Helper()
	m := w.maps["fragments"]
	for i := range m.MaxEntries() {
		var line bpf.ProgramFragmentLine
		w.must(m.Lookup(i, &line))
		changed := false
		for j := range line.Of {
			if v := line.Of[j].Value; v != 0 {
				line.Of[j].Value = v&^0xfff0 | ((v>>4)-ticks)&0xfff<<4
				changed = true
			}
		}
		if changed {
			w.must(m.Put(i, line))
		}
	}
}

// A flip, a change of the pool: the fragments behind the first go where it went.
func TestFragmentsFollowTheirFirstAcrossAFlip(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		parts := f.with(bytes.Repeat([]byte("fragment"), 12)).split(40)
		if f.proto == tcp {
			w.send(f.flagged(syn))
		}
		id := w.to(parts[0])
		w.flip(green)
		for _, p := range parts[1:] {
			if got := w.to(p); got != id {
				t.Errorf("a later fragment went to backend %d, its first to %d", got, id)
			}
		}
	})
}

// A flood of first fragments, of flows that are young, fills the table: it takes no place of a flow that is established.
func TestAFloodOfFragmentsDisplacesNoneOfEstablishedFlows(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			const datagrams = 200
			in := gameDatagram(f).with(make([]byte, 100))
			w.establish(in)
			each := func(do func(parts []frame)) {
				for i := range uint16(datagrams) {
					do(in.change(func(f *frame) { f.id = i }).split(56))
				}
			}
			each(func(parts []frame) { w.send(parts[0]) })
			flood := in.at(9)
			for i := range uint16(3 * bpf.ProgramLimitFRAGMENT_LINES * 4) {
				w.send(flood.change(func(f *frame) { f.id = 1000 + i }).split(56)[0])
			}
			each(func(parts []frame) {
				if v, _ := w.run(t, parts[1].bytes()); v != tx {
					t.Errorf("datagram %d of an established flow: verdict %v for its second fragment", parts[1].id, v)
				}
			})
		})
	}
}

// Among those of young flows the newest has room, and once the flood is over, everybody.
func TestNewDatagramsReplaceOldOnes(t *testing.T) {
	w := mustWorld(t, options{flows: 1000}, 1)
	in := gameDatagram(maps.IPv4).with(make([]byte, 100))
	for i := range uint16(20000) {
		parts := in.change(func(f *frame) { f.id = i }).split(56)
		w.send(parts[0])
		if v, _ := w.run(t, parts[1].bytes()); v != tx {
			t.Fatalf("datagram %d: verdict %v for the fragment right behind the first", i, v)
		}
	}
}

// A fragment that is first and last is a whole packet (RFC 6946).
func TestAtomicFragments(t *testing.T) {
	for _, r := range routes(maps.IPv6) {
		for name, extensions := range map[string][]extension{
			"alone": {fragmentHeader(0, 7)}, "behind options": {{60, make([]byte, 7)}, fragmentHeader(0, 7)},
			"before options": {fragmentHeader(0, 7), {60, make([]byte, 7)}},
		} {
			t.Run(r.name+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.begin(r)
				in := r.whole.change(func(f *frame) { f.extensions = extensions })
				want := in
				if r.want != nil {
					want = r.want(in)
				}
				w.checkFragment(t, r, in, want, true)
				later := r.whole.split(40)[1]
				later.extensions = []extension{fragmentHeader(40, 7)}
				w.checkTooEarly(t, r, later)
			})
		}
	}
}

// A first fragment may have headers behind the fragment header.
func TestFirstFragmentsWithExtensionsBehind(t *testing.T) {
	for _, r := range routes(maps.IPv6) {
		t.Run(r.name, func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.begin(r)
			put := func(f frame) frame {
				return f.change(func(f *frame) { f.extensions = append(f.extensions, extension{60, make([]byte, 7)}) })
			}
			in, want := r.split(40)
			w.checkFragment(t, r, put(in[0]), put(want[0]), true)
			w.checkFragment(t, r, in[1], want[1], false)
		})
	}
}

// Tags and IP options stay on each fragment.
func TestFragmentsInTagsAndBehindOptions(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		r.whole = r.whole.change(twiceTagged)
		if r.whole.family() == maps.IPv4 {
			r.whole.ipOptions = []byte{0x94, 4, 0, 0, 1, 1, 1, 0}
		} else {
			r.whole.extensions = []extension{{0, make([]byte, 7)}}
		}
		in, want := r.split(40)
		for i := range in {
			w.checkFragment(t, r, in[i], want[i], i == 0)
		}
	})
}

// TTL is used up by a later fragment as by any packet.
func TestTTLOfLaterFragments(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		in, _ := r.split(40)
		w.run(t, in[0].bytes())
		last := uint8(1)
		if r.name[:3] == "dsr" {
			last = 0
		}
		late := in[1].change(func(f *frame) { f.ttl = last })
		row{in: late.bytes(), verdict: drop, moves: moves{"drop_ttl": 1, "event_fragment": 1}}.check(t, w)
	})
}

// A first fragment without a whole transport header is no packet, and pins nothing (RFC 1858).
func TestTinyFirstFragments(t *testing.T) {
	for _, f := range maps.Families() {
		for _, in := range []frame{gamePacket(f, syn), shopPacket(f, syn), relayPacket(f, syn)} {
			t.Run(fmt.Sprint(familyName(f), in.to), func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				parts := in.with(make([]byte, 20)).split(8)
				dropped("", parts[0].bytes(), "drop_malformed").check(t, w)
				dropped("", parts[1].bytes(), "drop_fragment").check(t, w)
				if n := len(w.pins()); n != 0 {
					t.Errorf("%d entries", n)
				}
			})
		}
	}
}

// A later fragment whose length its frame does not have, or whose header is longer than it, goes nowhere.
func TestLaterFragmentsWithWrongLengths(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *world, r route) {
		in, _ := r.split(40)
		for name, delta := range map[string]int{"beyond the frame": 1, "far beyond the frame": 1000, "within its headers": -len(in[1].body) - 9} {
			if r.whole.family() == maps.IPv6 && delta < 0 {
				delta = -len(in[1].body) - 1
			}
			w.run(t, in[0].bytes())
			v, out := w.run(t, in[1].change(func(f *frame) { f.lengthDelta = delta }).bytes())
			if v == tx {
				t.Errorf("%s: it was sent:\n%s", name, hex.Dump(out))
			}
		}
	})
}

package datapath

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// room is the largest packet that the narrow way in these tests takes.
const room = 600

// quoteBytes is how much of a packet the answer has.
const quoteBytes = 504

// narrow makes the ways of all backends of a generation's number narrow, or the interface's.
func (w *world) narrow(f maps.Family, id uint16, to uint16) {
	w.SetHop(f, id, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(id), Room: to})
}

// sized is f with a payload that makes it an IP packet of so many bytes.
func (f frame) sized(bytes int) frame {
	f.payload = nil
	return f.with(make([]byte, bytes-len(ipOf(f.change(func(f *frame) { f.tags, f.padding = nil, 0 })))))
}

// told is the answer to a packet that its way has no room for.
func (f frame) told(room int) frame {
	packet := f.change(func(f *frame) { f.tags, f.padding = nil, 0 })
	family := f.family()
	out := message(family, f.to.Addr(), f.from.Addr(), [2]icmpMessage{{3, 4, uint32(room)}, {2, 0, uint32(room)}}[family], ipOf(packet)[:quoteBytes])
	out.dst, out.src, out.ttl, out.id, out.tags = f.src, f.dst, 64, 0, f.tags
	if family == maps.IPv4 {
		out.tos = 0xc0
	}
	return out
}

// The largest packet that a way takes goes on; one byte more, and its sender is told how much there is room for.
func TestTooBig(t *testing.T) {
	for _, f := range maps.Families() {
		for name, c := range map[string]struct {
			in   frame
			id   uint16
			want func(frame) frame
			to   string
		}{
			"dsr TCP": {gamePacket(f, ack), 11, func(f frame) frame { return f.steered(11) }, "blue"},
			"dsr UDP": {gameDatagram(f), 11, func(f frame) frame { return f.steered(11) }, "blue"},
			"nat TCP": {shopPacket(f, ack), 31, func(f frame) frame { return f.translated(31, shopInner) }, "shop-blue"},
			"nat UDP": {shopDatagram(f), 31, func(f frame) frame { return f.translated(31, shopInner) }, "shop-blue"},
		} {
			for shape, change := range map[string]func(*frame){
				"": func(*frame) {}, "tag": tagged, "QinQ": twiceTagged, "padded": func(f *frame) { f.padding = 30 },
				"DF": func(f *frame) { f.frag = 0x4000 },
			} {
				t.Run(familyName(f)+" "+name+" "+shape, func(t *testing.T) {
					w := mustWorld(t, options{flows: 1000}, 1)
					w.send(c.in.flagged(syn))
					w.narrow(f, c.id, room)
					fits, big := c.in.sized(room).change(change), c.in.sized(room+1).change(change)
					forwarded("", fits, c.want(fits), sent(c.to, fits.bytes())).check(t, w)
					forwarded("", big, big.told(room), moves{"event_too_big": 1}).check(t, w)
					w.force(c.in, maps.Established, 0)
					forwarded("", big, big.told(room), moves{"event_too_big": 1}).check(t, w)
				})
			}
		}
	}
}

// In ipip the room that is announced is what is left for the packet: the daemon takes the outer header off it.
func TestTooBigInIPIP(t *testing.T) {
	for _, way := range ways {
		for name, in := range map[string]frame{"TCP": relayPacket(way.inner, ack), "UDP": relayDatagram(way.inner)} {
			t.Run(way.name+" "+name, func(t *testing.T) {
				w := mustRelay(t, way.inner, way.outer, 1)
				w.checkRelayed(t, in.flagged(syn), 51, way.outer, moves{"relay.new": 1})
				mtu := uint16(700)
				left := mtu - uint16(ipHeader[way.outer])
				w.narrow(way.inner, 51, left)
				w.checkRelayed(t, in.sized(int(left)), 51, way.outer, moves{})
				big := in.sized(int(left) + 1)
				forwarded("", big, big.told(int(left)), moves{"event_too_big": 1}).check(t, w)
			})
		}
	}
}

// The largest frame in each mode, tagged and not: tags take no room of the packet.
func TestTheLargestFrameInEachMode(t *testing.T) {
	for _, way := range ways {
		for shape, change := range map[string]func(*frame){"untagged": func(*frame) {}, "tag": tagged, "QinQ": twiceTagged} {
			t.Run(way.name+" "+shape, func(t *testing.T) {
				w := mustRelay(t, way.inner, way.outer, 1)
				left := 1500 - ipHeader[way.outer]
				w.narrow(way.inner, 51, uint16(left))
				w.checkRelayed(t, relayDatagram(way.inner).sized(left).change(change), 51, way.outer, moves{"relay.new": 1})
			})
		}
	}
}

// A backend's answer that the client's interface has no room for: the backend is told, as by the client's last hop.
func TestTooBigAnswersInNAT(t *testing.T) {
	for _, f := range maps.Families() {
		for name, first := range map[string]frame{"TCP": shopPacket(f, ack), "UDP": shopDatagram(f)} {
			for shape, change := range map[string]func(*frame){"": func(*frame) {}, "QinQ": twiceTagged} {
				t.Run(familyName(f)+" "+name+" "+shape, func(t *testing.T) {
					w := mustWorld(t, options{flows: 1000}, 1)
					w.send(first.flagged(syn))
					w.must(w.SetIface(inside, maps.Iface{MAC: hostMAC, MTU: room}))
					fits := first.answer(31, shopInner, ack).sized(room).change(change)
					big := first.answer(31, shopInner, ack).sized(room + 1).change(change)
					for range 2 { // young, then a plain hit
						forwarded("", fits, fits.returned(), moves{}).check(t, w)
						forwarded("", big, big.told(room), moves{"event_too_big": 1}).check(t, w)
					}
				})
			}
		}
	}
}

// No ICMP about ICMP (RFC 1122, section 3.2.2; RFC 4443, section 2.4), about a later fragment in IPv4 (RFC 1812, section
// 4.3.2.7), or to a source that no packet may have. It is counted all the same.
func TestTooBigAndNotAnswered(t *testing.T) {
	for _, f := range maps.Families() {
		name := familyName(f) + " "
		start := func(w *world) {
			w.send(gameDatagram(f), shopDatagram(f))
			w.narrow(f, 11, room)
			w.narrow(f, 31, room)
		}
		unanswered := func(what string, in frame, more moves) row {
			return row{name: name + what, in: in.bytes(), verdict: drop, moves: moves{"drop_too_big": 1}.and(more), before: start}
		}
		rows := []row{
			unanswered("an error in dsr", errorAbout(f, fromVIP(gameDatagram(f)).with(make([]byte, 700)), 700), moves{"event_icmp_error": 1}),
		}
		if f == maps.IPv4 {
			parts := gameDatagram(f).with(make([]byte, 2000)).split(800)
			late := unanswered("a later fragment", parts[1], moves{"event_fragment": 1})
			late.before = func(w *world) {
				w.send(gameDatagram(f), parts[0])
				w.narrow(f, 11, room)
			}
			rows = append(rows, late)
		}
		runRows(t, rows)
	}
}

// A first fragment that is too big is answered as a whole packet is; in IPv6 a later one too.
func TestTooBigFragments(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			parts := gameDatagram(f).with(make([]byte, 2000)).split(800)
			w.send(parts...)
			w.narrow(f, 11, room)
			forwarded("", parts[0], parts[0].told(room), moves{"event_too_big": 1}).check(t, w)
			if f == maps.IPv6 {
				forwarded("", parts[1], parts[1].told(room), moves{"event_too_big": 1, "event_fragment": 1}).check(t, w)
			}
		})
	}
}

// A limit of answers: so many a tick and CPU, the rest is dropped and counted.
func TestTooBigIsLimited(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.send(gameDatagram(f))
			w.narrow(f, 11, room)
			w.SetLimit(maps.LimitedTooBig, 3)
			big := gameDatagram(f).sized(700)
			got := map[verdict]int{}
			result := make(chan error, 1)
			before := w.counters(t)
			go func() {
				result <- onCPU(0, func(int) error {
					for range 10 {
						v, _, err := w.arrive(inside, big.bytes())
						if err != nil {
							return err
						}
						got[v]++
					}
					return nil
				})
			}()
			w.must(<-result)
			if moved := w.counters(t).since(before); got[tx] != 3 || got[drop] != 7 || moved.String() != (moves{"event_too_big": 3, "drop_too_big": 7}).String() {
				t.Errorf("%s: verdicts %v, moved %v", familyName(f), got, moved)
			}
		})
	}
}

// From an address that no packet may have, even a pinned one, nobody is told.
func TestTooBigFromAMartianIsNotAnswered(t *testing.T) {
	w := mustWorld(t, options{flows: 1000}, 1)
	w.narrow(maps.IPv4, 11, room)
	for _, a := range []string{"127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"} {
		in := gameDatagram(maps.IPv4).sized(700).change(func(f *frame) { f.from = netip.AddrPortFrom(netip.MustParseAddr(a), 1) })
		dropped(fmt.Sprint(a), in.bytes(), "drop_martian").check(t, w)
	}
}

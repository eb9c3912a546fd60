package datapath

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// ipHeader is the length of an IP header without options or extensions.
var ipHeader = [2]int{20, 40}

// asSent is a packet from a VIP as the nat backend sent it.
func (f frame) asSent(id, port uint16) frame {
	from := f.from.Addr()
	f.from = netip.AddrPortFrom(backendAddr(maps.Family(map[bool]int{false: 0, true: 1}[from.Is6()]), id), port)
	return f
}

// toBackend is an error about a VIP's packet as the nat backend is to get it: all of it built anew, checksums included.
func toBackend(f maps.Family, quoted frame, quote int, m icmpMessage) frame {
	e := aboutPacket(f, quoted.asSent(31, shopInner), quote, m)
	e.to = netip.AddrPortFrom(backendAddr(f, 31), 0)
	e.ttl--
	return e.steered(31)
}

// aboutPacket is an error of any kind about a packet of a VIP, as a router sends it.
func aboutPacket(f maps.Family, quoted frame, quote int, m icmpMessage) frame {
	e := errorAbout(f, quoted, quote)
	e.icmp = m
	return e
}

// errorKinds are the errors about packets; the program treats them alike.
func errorKinds(f maps.Family) []icmpMessage {
	if f == maps.IPv4 {
		return []icmpMessage{
			{3, 0, 0}, {3, 1, 0}, {3, 3, 0}, {3, 4, 1400}, {3, 13, 0}, {11, 0, 0}, {11, 1, 0}, {12, 0, 0x14000000},
		}
	}
	return []icmpMessage{{1, 0, 0}, {1, 3, 0}, {1, 4, 0}, {2, 0, 1400}, {3, 0, 0}, {3, 1, 0}, {4, 0, 40}, {4, 1, 6}}
}

// quotes are packets that a VIP's backend sent: what an error may be about. what each is an answer to makes the flow.
func quotes(f maps.Family, segment, datagram frame) map[string][2]frame {
	out := map[string][2]frame{
		"TCP": {segment, fromVIP(segment.flagged(ack | psh))},
		"UDP": {datagram, fromVIP(datagram)},
		"TCP, options": {segment, fromVIP(segment.flagged(ack | psh)).change(func(f *frame) {
			f.tcpOptions = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
		})},
	}
	if f == maps.IPv4 {
		out["UDP without checksum"] = [2]frame{datagram, fromVIP(datagram).change(func(f *frame) { f.noChecksum = true })}
		out["TCP, IP options"] = [2]frame{segment, fromVIP(segment.flagged(ack)).change(func(f *frame) { f.ipOptions = []byte{0x94, 4, 0, 0} })}
		return out
	}
	out["TCP, extension headers"] = [2]frame{segment, fromVIP(segment.flagged(ack)).change(func(f *frame) {
		f.extensions = []extension{{60, make([]byte, 7)}, {43, append([]byte{1}, make([]byte, 14)...)}}
	})}
	return out
}

// least is how much of a packet the least quote has: its IP header and eight bytes.
func (f frame) least() int {
	return len(ipOf(f)) - len(f.transport()) + 8
}

// In nat an error reaches the backend about the packet that the backend sent: the quoted addresses, ports and checksums
// are those of that packet, however much of it is quoted, and the error's own checksum is right.
func TestErrorsInNAT(t *testing.T) {
	for _, f := range maps.Families() {
		for name, q := range quotes(f, shopPacket(f, syn), shopDatagram(f)) {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(q[0])
				before := w.pins()
				for quote := q[1].least(); quote <= len(ipOf(q[1])); quote++ {
					if q[1].proto == tcp && quote == q[1].least()+9 {
						continue // half of a checksum says nothing
					}
					for _, m := range errorKinds(f) {
						in, want := aboutPacket(f, q[1], quote, m), toBackend(f, q[1], quote, m)
						forwarded("", in, want, sent("shop-blue", in.bytes()).and(moves{"event_icmp_error": 1})).check(t, w)
					}
					if t.Failed() {
						t.Fatalf("with %d bytes quoted", quote)
					}
				}
				for name, change := range map[string]func(*frame){"tag": tagged, "QinQ": twiceTagged} {
					m := errorKinds(f)[3]
					in, want := aboutPacket(f, q[1], 2000, m).change(change), toBackend(f, q[1], 2000, m)
					forwarded(name, in, want, sent("shop-blue", in.bytes()).and(moves{"event_icmp_error": 1})).check(t, w)
				}
				if now := w.pins(); now[q[0].key()] != before[q[0].key()] || len(now) != len(before) {
					t.Errorf("an error changed the pin: %+v was %+v", now, before)
				}
			})
		}
	}
}

// What follows the packet in its frame is no part of the quote, and stays as it is.
func TestErrorsWithBytesBehindThem(t *testing.T) {
	for _, f := range maps.Families() {
		for name, q := range quotes(f, shopPacket(f, syn), shopDatagram(f)) {
			for _, padding := range []int{1, 12, 40} {
				t.Run(fmt.Sprint(familyName(f), " ", name, " ", padding), func(t *testing.T) {
					w := mustWorld(t, options{flows: 1000}, 1)
					w.send(q[0])
					m := errorKinds(f)[0]
					in, want := aboutPacket(f, q[1], q[1].least(), m), toBackend(f, q[1], q[1].least(), m)
					in.padding, want.padding = padding, padding
					forwarded("", in, want, sent("shop-blue", in.bytes()).and(moves{"event_icmp_error": 1})).check(t, w)
				})
			}
		}
	}
}

// All values that a checksum can have, through the identification and the payload of what is quoted.
func TestErrorsUpdateEveryChecksumAsIfComputedInFull(t *testing.T) {
	for _, f := range maps.Families() {
		for name, first := range map[string]frame{"TCP": shopPacket(f, ack), "UDP": shopDatagram(f)} {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(first.flagged(syn))
				m := errorKinds(f)[3]
				for x := 0; x < 1<<16; x += 7 {
					q := fromVIP(first).with([]byte{byte(x >> 8), byte(x)})
					q.id = uint16(x)
					in, want := aboutPacket(f, q, 2000, m), toBackend(f, q, 2000, m)
					if v, out := w.run(t, in.bytes()); v != tx || string(out) != string(want.bytes()) {
						t.Fatalf("word %#x: verdict %v\n% x, want\n% x", x, v, out, want.bytes())
					}
				}
			})
		}
	}
}

// In dsr and ipip the backend holds the VIP: the error is its as it came.
func TestErrorsInDSR(t *testing.T) {
	for _, f := range maps.Families() {
		for name, q := range quotes(f, gamePacket(f, syn), gameDatagram(f)) {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(q[0])
				for _, m := range errorKinds(f) {
					for _, quote := range []int{q[1].least(), 2000} {
						in := aboutPacket(f, q[1], quote, m)
						forwarded("", in, in.steered(11), sent("blue", in.bytes()).and(moves{"event_icmp_error": 1})).check(t, w)
					}
				}
			})
		}
	}
}

// The backend of the flow gets it: after a flip too.
func TestErrorsFollowTheirFlowAcrossAFlip(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.establish(f)
		id := w.pin(f).Backend
		w.flip(green)
		if got := w.to(errorAbout(f.family(), fromVIP(f), 2000)); got != id {
			t.Errorf("the error went to backend %d, its flow is pinned to %d", got, id)
		}
	})
}

// An error about a flow that nobody has, or has no more, is counted, and makes nothing.
func TestErrorsAboutNoFlowMakeNothing(t *testing.T) {
	for _, f := range maps.Families() {
		for mode, all := range map[string][2]frame{
			"dsr": {gamePacket(f, syn), gameDatagram(f)}, "nat": {shopPacket(f, syn), shopDatagram(f)}, "ipip": {relayPacket(f, syn), relayDatagram(f)},
		} {
			for name, q := range quotes(f, all[0], all[1]) {
				t.Run(familyName(f)+" "+mode+" "+name, func(t *testing.T) {
					w := mustWorld(t, options{flows: 1000}, 1)
					about := aboutPacket(f, q[1], 2000, errorKinds(f)[3])
					dropped("", about.bytes(), "drop_icmp_no_flow").check(t, w)
					if n := len(w.pins()); n != 0 {
						t.Errorf("%d entries", n)
					}
					w.run(t, q[0].bytes())
					other := q[1]
					other.to = netip.AddrPortFrom(other.to.Addr(), other.to.Port()+1)
					dropped("another port", aboutPacket(f, other, 2000, errorKinds(f)[3]).bytes(), "drop_icmp_no_flow").check(t, w)
					w.age(10000)
					dropped("an expired flow", about.bytes(), "drop_icmp_no_flow").check(t, w)
				})
			}
		}
	}
}

// Errors that are not about a packet of the VIP that they are sent to are the kernel's, as are other kinds.
func TestErrorsAboutSomethingElsePass(t *testing.T) {
	for _, f := range maps.Families() {
		about := fromVIP(gamePacket(f, ack))
		to := func(a netip.Addr) frame {
			return errorAbout(f, about, 2000).change(func(f *frame) { f.to = netip.AddrPortFrom(a, 0) })
		}
		var rows []row
		for name, in := range map[string]frame{
			"another VIP's packet":                 to(otherVIP[f]),
			"an error to nobody":                   to(somewhere[f]),
			"a port without listener":              errorAbout(f, about.change(func(q *frame) { q.from = netip.AddrPortFrom(q.from.Addr(), 22) }), 2000),
			"a packet to the VIP":                  errorAbout(f, gamePacket(f, ack), 2000).change(func(e *frame) { e.to = netip.AddrPortFrom(gameVIP[f], 0) }),
			"another protocol":                     errorAbout(f, about.change(func(q *frame) { q.proto, q.body = 132, make([]byte, 20) }), 2000),
			"an echo of the VIP's own":             errorAbout(f, echoReply(f), 2000),
			"an echo reply":                        message(f, routerAddr[f], gameVIP[f], icmpMessage{kind: [2]uint8{0, 129}[f]}, []byte("here")),
			"a redirect or a neighbour's question": message(f, routerAddr[f], gameVIP[f], icmpMessage{kind: [2]uint8{5, 135}[f]}, ipOf(about)),
		} {
			rows = append(rows, passed(familyName(f)+" "+name, in.bytes(), "pass_not_ours").given(func(w *world) {
				w.send(gamePacket(f, syn), gamePacket(f, ack))
			}))
		}
		if f == maps.IPv4 {
			later := about.with(make([]byte, 100)).split(40)[1]
			rows = append(rows, passed("IPv4 a later fragment", errorAbout(f, later, 2000).bytes(), "pass_not_ours"))
		}
		runRows(t, rows)
	}
}

// The packet that was too big may have been a fragment, the first of several.
func TestErrorsAboutAFirstFragment(t *testing.T) {
	for _, f := range maps.Families() {
		for name, first := range map[string]frame{"TCP": shopPacket(f, syn), "UDP": shopDatagram(f)} {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(first)
				whole := fromVIP(first.flagged(ack)).with(make([]byte, 100))
				m := errorKinds(f)[3]
				in := aboutPacket(f, whole.split(56)[0], 2000, m)
				want := aboutPacket(f, whole.asSent(31, shopInner).split(56)[0], 2000, m)
				want.to = netip.AddrPortFrom(backendAddr(f, 31), 0)
				want.ttl--
				forwarded("", in, want.steered(31), sent("shop-blue", in.bytes()).and(moves{"event_icmp_error": 1})).check(t, w)
			})
		}
	}
}

// An error cut off anywhere, or whose lengths its frame has not, is no error: it is dropped, or the kernel's.
func TestErrorsWithWrongLengths(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.send(shopPacket(f, syn))
			whole := errorAbout(f, fromVIP(shopPacket(f, ack)), 2000)
			for _, delta := range []int{1, 500, 0xff00, -len(whole.transport()) + 7, -len(whole.transport()), -len(whole.transport()) + 8 + ipHeader[f] + 7} {
				dropped(fmt.Sprint(delta), whole.change(func(f *frame) { f.lengthDelta = delta }).bytes(), "drop_malformed").check(t, w)
			}
			for length := ethernetHeader; length < len(whole.bytes()); length++ {
				if v, out := w.run(t, whole.bytes()[:length]); v == tx {
					t.Fatalf("%s cut to %d bytes: sent as % x", familyName(f), length, out)
				}
			}
		})
	}
}

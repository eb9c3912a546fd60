package datapath

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// refusal is an error of a nat backend about a packet that it was sent for a client.
func refusal(f maps.Family, about frame, quote int, m icmpMessage) frame {
	ip := ipOf(about.translated(31, shopInner))
	e := message(f, backendAddr(f, 31), clientAddr(f), m, ip[:min(quote, len(ip))])
	e.src = backendMAC(31)
	return e
}

// refused is what the client is told of it: as by the VIP, about the packet that it had sent, but for the TTL.
func refused(f maps.Family, about frame, quote int, m icmpMessage) frame {
	about.ttl--
	ip := ipOf(about)
	e := message(f, shopVIP[f], clientAddr(f), m, ip[:min(quote, len(ip))])
	e.src, e.dst = hostMAC, routerMAC
	e.ttl--
	return e
}

// refusable are packets that clients send, which a backend may have no socket for.
func refusable(f maps.Family) map[string]frame {
	out := map[string]frame{
		"UDP":          shopDatagram(f).with([]byte("who is there?")),
		"TCP":          shopPacket(f, ack).with([]byte("who is there?")),
		"TCP, options": shopPacket(f, ack).change(func(f *frame) { f.tcpOptions = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2} }),
	}
	if f == maps.IPv4 {
		out["UDP without checksum"] = shopDatagram(f).change(func(f *frame) { f.noChecksum = true })
		out["UDP, IP options"] = shopDatagram(f).change(func(f *frame) { f.ipOptions = []byte{0x94, 4, 0, 0} })
		return out
	}
	out["UDP, extension headers"] = shopDatagram(f).change(func(f *frame) { f.extensions = []extension{{60, make([]byte, 7)}} })
	return out
}

// An error that a nat backend sends to a client reaches it as one of the VIP, about the packet that the client sent, however
// much of it is quoted; all checksums are right, and the pin stays as it is.
func TestErrorsOfANATBackendReachItsClient(t *testing.T) {
	for _, f := range maps.Families() {
		for name, about := range refusable(f) {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				w.send(about.flagged(syn))
				before := w.pins()
				for quote := about.least(); quote <= len(ipOf(about)); quote++ {
					if about.proto == tcp && quote == about.least()+9 {
						continue // half of a checksum says nothing
					}
					for _, m := range errorKinds(f) {
						forwarded("", refusal(f, about, quote, m), refused(f, about, quote, m), moves{"event_icmp_error": 1}).check(t, w)
					}
					if t.Failed() {
						t.Fatalf("with %d bytes quoted", quote)
					}
				}
				if now := w.pins(); now[about.key()] != before[about.key()] || len(now) != len(before) {
					t.Errorf("an error changed the pin: %+v was %+v", now, before)
				}
			})
		}
	}
}

// It leaves in the VLAN that its client is in.
func TestErrorsOfANATBackendFollowItsClientsVLAN(t *testing.T) {
	for _, f := range maps.Families() {
		w := mustWorld(t, options{flows: 1000}, 1)
		about, m := shopDatagram(f), errorKinds(f)[0]
		w.send(about.change(twiceTagged))
		want := refused(f, about, 2000, m)
		want.tags = tagsOf(twoTags)
		forwarded("", refusal(f, about, 2000, m).change(tagged), want, moves{"event_icmp_error": 1}).check(t, w)
	}
}

// What no client is owed is the kernel's: about no flow, of a backend that the flow is not pinned to, about somebody else's
// packet, or from a router before the backend.
func TestErrorsOfANATBackendThatPass(t *testing.T) {
	var rows []row
	for _, f := range maps.Families() {
		about, m := shopDatagram(f), errorKinds(f)[0]
		start := func(w *world) { w.send(about) }
		from := func(a netip.Addr) frame {
			return refusal(f, about, 2000, m).change(func(e *frame) { e.from = netip.AddrPortFrom(a, 0) })
		}
		other := refusal(f, about, 2000, m).change(func(e *frame) { e.to = netip.AddrPortFrom(somewhere[f], 0) })
		rows = append(rows,
			passed(familyName(f)+" no flow", refusal(f, about.at(2), 2000, m).bytes(), "pass_no_flow").given(start),
			passed(familyName(f)+" an expired flow", refusal(f, about, 2000, m).bytes(), "pass_no_flow").given(func(w *world) {
				start(w)
				w.age(10000)
			}),
			passed(familyName(f)+" a backend that the flow is not pinned to", refusal(f, about, 2000, m).bytes(), "pass_no_flow").given(func(w *world) {
				w.SetSteer(shop, maps.Steer{Live: shopGreen})
				start(w)
			}),
			passed(familyName(f)+" a router", from(routerAddr[f]).bytes(), "pass_not_ours").given(start),
			passed(familyName(f)+" to somebody else", other.bytes(), "pass_not_ours").given(start),
			passed(familyName(f)+" cut off in the ports", refusal(f, about, about.least()-1, m).bytes(), "pass_not_ours").given(start),
			passed(familyName(f)+" echo", refusal(f, about, 2000, icmpMessage{kind: [2]uint8{8, 128}[f]}).bytes(), "pass_not_ours").given(start),
		)
	}
	runRows(t, rows)
}

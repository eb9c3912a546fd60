package datapath

import (
	"encoding/binary"
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
)

const (
	icmp4 = 1
	icmp6 = 58
)

// icmpMessage is what stands behind IP in an ICMP packet; its checksum comes by itself.
type icmpMessage struct {
	kind, code uint8
	rest       uint32
}

func (f frame) appendICMP() []byte {
	b := []byte{f.icmp.kind, f.icmp.code, 0, 0}
	b = binary.BigEndian.AppendUint32(b, f.icmp.rest)
	b = append(b, f.payload...)
	covered := b
	if f.proto == icmp6 {
		covered = append(f.pseudoHeader(len(b)), b...)
	}
	binary.BigEndian.PutUint16(b[2:], ^sum16(covered))
	return b
}

// message is an ICMP packet that the router hands over.
func message(f maps.Family, from, to netip.Addr, m icmpMessage, body []byte) frame {
	return frame{
		dst: hostMAC, src: routerMAC, proto: [2]uint8{icmp4, icmp6}[f], ttl: 60, id: 0x4321,
		from: netip.AddrPortFrom(from, 0), to: netip.AddrPortFrom(to, 0), icmp: m, payload: body,
	}
}

// turned is f sent back to where it came from.
func (f frame) turned() frame {
	f.dst, f.src, f.from, f.to = f.src, f.dst, f.to, f.from
	f.ttl = 64
	return f
}

func echoRequest(f maps.Family) frame {
	return message(f, clientAddr(f), gameVIP[f], icmpMessage{kind: [2]uint8{8, 128}[f], rest: 0x12340001}, []byte("are you there?"))
}

func echoReply(f maps.Family) frame {
	return echoRequest(f).turned().change(func(r *frame) { r.icmp.kind = [2]uint8{0, 129}[f] })
}

// ipOf is a frame without Ethernet.
func ipOf(f frame) []byte { return f.bytes()[14:] }

// errorAbout is what a router on the way to the client says of a packet that came from a VIP: "too big" of some bytes.
func errorAbout(f maps.Family, quoted frame, quote int) frame {
	ip := ipOf(quoted)
	return message(f, routerAddr[f], quoted.from.Addr(), [2]icmpMessage{{kind: 3, code: 4, rest: 1400}, {kind: 2, rest: 1400}}[f], ip[:min(quote, len(ip))])
}

var routerAddr = [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:1::1")}

// fromVIP is what a backend sends a client for a packet of the client's.
func fromVIP(in frame) frame {
	in.from, in.to = in.to, in.from
	in.ttl = 61
	return in.with([]byte("the state of the world"))
}

// wayTooBig is a datagram that a way of 600 bytes has no room for, and what its sender is told.
func wayTooBig(f maps.Family) (in, out frame) {
	in = gameDatagram(f).with(make([]byte, 700))
	out = message(f, gameVIP[f], clientAddr(f), [2]icmpMessage{{kind: 3, code: 4, rest: 600}, {kind: 2, rest: 600}}[f], ipOf(in)[:504])
	out.dst, out.src, out.ttl, out.id = routerMAC, hostMAC, 64, 0
	if f == maps.IPv4 {
		out.tos = 0xc0
	}
	return in, out
}

func answeredRows(f maps.Family) []row {
	name := familyName(f) + " "
	big, told := wayTooBig(f)
	narrow := func(w *world) {
		w.SetHop(f, 11, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(11), Room: 600})
		w.send(gameDatagram(f))
	}
	in := gamePacket(f, syn)
	of := errorAbout(f, fromVIP(in), 48+8)
	tagged := func(f *frame) { f.tags = []tag{{0x88a8, 5}, {0x8100, 7}} }
	return []row{
		{name: name + "echo", in: echoRequest(f).bytes(), verdict: tx, out: echoReply(f).bytes(), moves: moves{"event_echo": 1}},
		{
			name: name + "echo in two tags", in: echoRequest(f).change(tagged).bytes(), verdict: tx,
			out: echoReply(f).change(tagged).bytes(), moves: moves{"event_echo": 1},
		},
		{name: name + "too big", in: big.bytes(), verdict: tx, out: told.bytes(), moves: moves{"event_too_big": 1}, before: narrow},
		{
			name: name + "too big in two tags", in: big.change(tagged).bytes(), verdict: tx, out: told.change(tagged).bytes(),
			moves: moves{"event_too_big": 1}, before: narrow,
		},
		forwarded(name+"an error about a flow", of, of.steered(11), sent("blue", of.bytes()).and(moves{"event_icmp_error": 1})).given(func(w *world) {
			w.send(in)
		}),
	}
}

func unansweredRows(f maps.Family) []row {
	name := familyName(f) + " "
	big, _ := wayTooBig(f)
	limit := func(kind maps.Limited) func(*world) {
		return func(w *world) { w.SetLimit(kind, 0) }
	}
	loopback := [2]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}[f]
	from := func(a netip.Addr) func(*frame) { return func(f *frame) { f.from = netip.AddrPortFrom(a, 40001) } }
	return []row{
		dropped(name+"echo above the limit", echoRequest(f).bytes(), "drop_echo").given(limit(maps.LimitedEcho)),
		dropped(name+"echo that is off", echoRequest(f).bytes(), "drop_echo").given(func(w *world) { w.SetEcho(false) }),
		dropped(name+"too big, above the limit", big.bytes(), "drop_too_big").given(func(w *world) {
			w.send(gameDatagram(f))
			w.SetHop(f, 11, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(11), Room: 600})
			w.SetLimit(maps.LimitedTooBig, 0)
		}),
		dropped(name+"an error about no flow", errorAbout(f, fromVIP(gamePacket(f, syn)), 48).bytes(), "drop_icmp_no_flow"),
		dropped(name+"an error cut off in the ports", errorAbout(f, fromVIP(gamePacket(f, syn)), [2]int{20 + 7, 40 + 7}[f]).bytes(), "drop_malformed"),
		dropped(name+"from a loopback address", gamePacket(f, syn).change(from(loopback)).bytes(), "drop_martian"),
		dropped(name+"from the VIP itself", gamePacket(f, syn).change(from(gameVIP[f])).bytes(), "drop_martian"),
		dropped(name+"echo from the VIP itself", echoRequest(f).change(from(gameVIP[f])).bytes(), "drop_martian"),
		dropped(name+"a session that is being moved, above the limit", gamePacket(f, ack).bytes(), "drop_reset").given(func(w *world) {
			w.send(gamePacket(f, syn), gamePacket(f, ack))
			w.setState(f, maps.Evicting, true)
			w.SetLimit(maps.LimitedReset, 0)
		}),
	}
}

// setState puts the only flow of a family into a state.
func (w *world) setState(f maps.Family, s maps.FlowState, fin bool) {
	for slot := range w.SlotCount(f) {
		if m := w.Meta(f, slot); m.State() != maps.Free {
			to := m&^15 | maps.Meta(s)
			if fin {
				to |= 8
			}
			w.SwapMeta(f, slot, m, to)
		}
	}
}

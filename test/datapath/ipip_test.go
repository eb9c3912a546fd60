package datapath

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// outerSource is where ipip's outer headers come from.
var outerSource = [2]netip.Prefix{netip.MustParsePrefix("10.66.0.0/16"), netip.MustParsePrefix("2001:db8:66::/112")}

// ways are what may travel in what, by the family of the packet and of the header before it.
var ways = []struct {
	name         string
	inner, outer maps.Family
}{
	{"IPv4 in IPv4", maps.IPv4, maps.IPv4},
	{"IPv6 in IPv6", maps.IPv6, maps.IPv6},
	{"IPv4 in IPv6", maps.IPv4, maps.IPv6},
	{"IPv6 in IPv4", maps.IPv6, maps.IPv4},
}

// mustRelay is a world whose relay has backends that a family's packets reach in headers of a family.
func mustRelay(t *testing.T, inner, outer maps.Family, backends int) *world {
	t.Helper()
	w := mustWorld(t, options{flows: 1000}, backends)
	for i := range backends {
		id := uint16(10*relayBlue + i + 1)
		b := w.Backends(inner)[id]
		b.Addr, b.Outer = backendAddr(outer, id), outer
		w.PutBackend(inner, id, b)
		w.SetHop(inner, id, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(id)})
	}
	return w
}

// outerOf is what an outer header says that differs by flow or packet.
type outerOf struct {
	source netip.Addr
	id     uint16 // IPv4
	label  uint32 // IPv6
}

// readOuter reads it of a frame with so many tags.
func readOuter(b []byte, tags int) (o outerOf) {
	b = b[14+4*tags:]
	if b[0]>>4 == 4 {
		o.source, o.id = netip.AddrFrom4([4]byte(b[12:])), binary.BigEndian.Uint16(b[4:])
		return o
	}
	o.source, o.label = netip.AddrFrom16([16]byte(b[8:])), binary.BigEndian.Uint32(b)&0xfffff
	return o
}

// relayed is what an ipip backend is sent: the packet and what followed it in its frame, behind another header.
func (f frame) relayed(id uint16, outer maps.Family, o outerOf) frame {
	packet := f.change(func(f *frame) {
		f.tags = nil
		f.ttl--
	})
	out := frame{
		proto: [2]uint8{4, 41}[f.family()], ttl: 64, tos: f.tos, id: o.id, label: o.label, frag: f.frag & 0x4000,
		from: netip.AddrPortFrom(o.source, 0), to: netip.AddrPortFrom(backendAddr(outer, id), 0),
		body: ipOf(packet), lengthDelta: -f.padding,
	}
	if f.family() == maps.IPv6 {
		out.frag = 0x4000
	}
	return out.steered(id)
}

// checkRelayed runs a packet, its headroom full of stale bytes, and compares every byte of what comes out.
func (w *world) checkRelayed(t *testing.T, in frame, id uint16, outer maps.Family, more moves) outerOf {
	t.Helper()
	before := w.counters(t)
	v, out := w.runOnStaleBytes(t, in.bytes(), staleBytes)
	moved := w.counters(t).since(before)
	if v != tx {
		t.Fatalf("verdict %v, moved %v", v, moved)
	}
	o := readOuter(out, 0)
	if want := in.relayed(id, outer, o).bytes(); !bytes.Equal(out, want) {
		t.Errorf("out\n%swant\n%s", hex.Dump(out), hex.Dump(want))
	}
	if want := sent("relay", in.bytes()).and(more); moved.String() != want.String() {
		t.Errorf("moved %v, want %v", moved, want)
	}
	if !outerSource[outer].Contains(o.source) {
		t.Errorf("the outer source %v is not in %v", o.source, outerSource[outer])
	}
	if in.family() == maps.IPv6 || in.frag&0x4000 != 0 {
		if o.id != 0 {
			t.Errorf("an atomic datagram with identification %#x", o.id)
		}
	}
	return o
}

// In ipip the packet keeps every byte but its TTL.
func TestIPIP(t *testing.T) {
	for _, way := range ways {
		for name, in := range shapes(way.inner, relayPacket(way.inner, syn), relayDatagram(way.inner)) {
			t.Run(way.name+" "+name, func(t *testing.T) {
				w := mustRelay(t, way.inner, way.outer, 1)
				w.checkRelayed(t, in, 51, way.outer, moves{"relay.new": 1})
			})
		}
	}
}

// DSCP and ECN are carried (RFC 6040), and the outer DF is the inner's.
func TestIPIPCarriesDSCPECNAndDF(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			w := mustRelay(t, way.inner, way.outer, 1)
			in := relayPacket(way.inner, ack)
			w.run(t, in.flagged(syn).bytes())
			w.checkRelayed(t, in, 51, way.outer, moves{}) // young from here on
			for tos := range 256 {
				for _, df := range []uint16{0, 0x4000} {
					w.checkRelayed(t, in.change(func(f *frame) { f.tos, f.frag = uint8(tos), df }), 51, way.outer, moves{})
				}
			}
		})
	}
}

// The identification of datagrams that may be fragmented differs from packet to packet.
func TestIPIPWithoutDFHasIdentifications(t *testing.T) {
	w := mustRelay(t, maps.IPv4, maps.IPv4, 1)
	seen := map[uint16]bool{}
	for range 64 {
		_, out := w.run(t, relayDatagram(maps.IPv4).bytes())
		seen[readOuter(out, 0).id] = true
	}
	if len(seen) < 60 {
		t.Errorf("64 packets have %d identifications", len(seen))
	}
}

// A NIC spreads packets by their outer addresses: all of a flow have one source, and flows have many.
func TestIPIPSourceDiffersByFlow(t *testing.T) {
	const flows = 500
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			w := mustRelay(t, way.inner, way.outer, 1)
			sources, labels, last := map[netip.Addr]bool{}, map[uint32]bool{}, map[byte]int{}
			for port := range uint16(flows) {
				in := relayPacket(way.inner, 0).at(1000 + port)
				w.checkOneSource(t, in, way.outer)
				_, out := w.run(t, in.flagged(ack).bytes())
				o := readOuter(out, 0)
				sources[o.source], labels[o.label] = true, true
				bytes := o.source.AsSlice()
				last[bytes[len(bytes)-1]]++
			}
			if len(sources) < flows*95/100 {
				t.Errorf("%d flows have %d sources", flows, len(sources))
			}
			if way.outer == maps.IPv6 && len(labels) < flows*95/100 {
				t.Errorf("%d flows have %d flow labels", flows, len(labels))
			}
			for b, n := range last {
				if n > 20 {
					t.Errorf("%d of %d sources end with %d", n, flows, b)
				}
			}
		})
	}
}

// checkOneSource: a new flow, its second packet, a plain hit, and an error about it have the same outer source.
func (w *world) checkOneSource(t *testing.T, in frame, outer maps.Family) {
	t.Helper()
	first := w.outerOf(t, in.flagged(syn))
	second := w.outerOf(t, in.flagged(ack))
	w.force(in, maps.Established, 0)
	for i, f := range []frame{in.flagged(ack), errorAbout(in.family(), fromVIP(in), 48)} {
		if got := w.outerOf(t, f); got != first || second != first {
			t.Fatalf("packet %d: outer header %+v after %+v and %+v", i, got, first, second)
		}
	}
}

// outerOf runs a packet and reads what differs by flow.
func (w *world) outerOf(t *testing.T, in frame) outerOf {
	t.Helper()
	v, out := w.run(t, in.bytes())
	if v != tx {
		t.Fatalf("verdict %v", v)
	}
	o := readOuter(out, 0)
	o.id = 0
	return o
}

// The prefix is the operator's: just the bits behind it differ.
func TestIPIPSourceKeepsToItsPrefix(t *testing.T) {
	for _, prefix := range []string{"10.1.2.3/32", "10.1.2.128/25", "10.1.0.0/16", "10.0.0.0/8", "2001:db8::7/128", "2001:db8::/96", "2001:db8::1:8000/113", "2001:db8::/64"} {
		t.Run(prefix, func(t *testing.T) {
			p := netip.MustParsePrefix(prefix)
			outer := maps.IPv4
			if p.Addr().Is6() {
				outer = maps.IPv6
			}
			w := mustRelay(t, outer, outer, 1)
			w.SetOuterSource(p)
			all := map[netip.Addr]bool{}
			for port := range uint16(100) {
				source := w.outerOf(t, relayPacket(outer, syn).at(1000+port)).source
				if all[source] = true; !p.Contains(source) {
					t.Fatalf("%v: a packet comes from %v", p, source)
				}
			}
			if len(all) == 1 && !p.IsSingleIP() || len(all) > 1 && p.IsSingleIP() {
				t.Errorf("%v: %d sources", p, len(all))
			}
		})
	}
}

// What few packets need of ipip: an error about a flow, a used up TTL, a packet that its way has no room for.
func TestIPIPOfOtherPackets(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			w := mustRelay(t, way.inner, way.outer, 1)
			in := relayPacket(way.inner, syn)
			w.checkRelayed(t, in, 51, way.outer, moves{"relay.new": 1})
			for _, quote := range []int{[2]int{20, 40}[way.inner] + 8, 2000} {
				w.checkRelayed(t, errorAbout(way.inner, fromVIP(in), quote), 51, way.outer, moves{"event_icmp_error": 1})
				w.checkRelayed(t, errorAbout(way.inner, fromVIP(in), quote).change(twiceTagged), 51, way.outer, moves{"event_icmp_error": 1})
			}
			for ttl := range uint8(2) {
				dropped(fmt.Sprint("TTL ", ttl), in.change(func(f *frame) { f.ttl = ttl }).bytes(), "drop_ttl").check(t, w)
			}
			last := in.flagged(ack).change(func(f *frame) { f.ttl = 2 })
			w.checkRelayed(t, last, 51, way.outer, moves{})
		})
	}
}

// Too little headroom, as with drivers that leave but a few bytes: nothing goes out, and it is counted.
func TestTooLittleHeadroomForIPIPIsCounted(t *testing.T) {
	needsKernel(t, 6, 3, "larger metadata, which takes the headroom")
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			w := mustRelay(t, way.inner, way.outer, 1)
			in := relayPacket(way.inner, syn)
			before := w.counters(t)
			v, _ := w.runOnStaleBytes(t, in.bytes(), 212)
			moved := w.counters(t).since(before)
			if v != drop || moved["drop_headroom"] != 1 {
				t.Errorf("%s: verdict %v, moved %v", way.name, v, moved)
			}
		})
	}
}

package model

import (
	"math/bits"
	"net/netip"
)

// forward sends a packet to a backend. spread is the same for all packets of a flow; without ports only addresses change.
func (m *Model) forward(f *frame, b *Backend, spread uint32, ports bool) Result {
	least := uint8(1)
	if b.Forwarding == DSR {
		least = 0
	}
	switch {
	case !b.Resolved:
		return m.drop("drop_unresolved")
	case f.length > b.Room:
		return m.tooBig(f, b.Room)
	case f.ttl() <= least:
		return m.drop("drop_ttl")
	}
	for _, s := range []*Sent{&m.counters(b.Generation).Sent, m.sentTo(b.ID)} {
		s.Packets++
		s.Bytes += uint64(f.ip + f.length)
	}
	switch b.Forwarding {
	case NAT:
		f.translate(false, netip.AddrPortFrom(b.Addr, b.Port), ports)
	case IPIP:
		return m.encapsulate(f, b, spread)
	}
	return f.send(b.Way, b.Src, b.Dst)
}

// send is the last of a frame: its tags and addresses become those of its way.
func (f *frame) send(way Way, src, dst MAC) Result {
	f.retag(way.Tags)
	copy(f.bytes, dst[:])
	copy(f.bytes[6:], src[:])
	if f.iface == way.Iface {
		return Result{Verdict: Transmit, Out: f.bytes}
	}
	return Result{Verdict: Redirect, Out: f.bytes}
}

// answer sends what has been made of the frame back to where it came from.
func (f *frame) answer() Result {
	var src, dst MAC
	copy(src[:], f.in)
	copy(dst[:], f.in[6:])
	return f.send(Way{f.iface, f.tags()}, src, dst)
}

// encapsulate puts another IP header before the packet's own, as RFC 2003, RFC 2473 and RFC 6040 tell.
func (m *Model) encapsulate(f *frame, b *Backend, spread uint32) Result {
	class, df, inner := f.bytes[f.ip+1], f.bytes[f.ip+6]&0x40, uint8(4)
	if f.family == V6 {
		class, df, inner = f.bytes[f.ip]<<4|f.bytes[f.ip+1]>>4, 0x40, 41
	}
	f.lowerTTL()
	source := m.outerSource(b.Outer, spread)
	var outer []byte
	anyID := 0
	if b.Outer == V4 {
		outer = []byte{0x45, class, 0, 0, 0, 0, df, 0, 64, inner, 0, 0}
		be.PutUint16(outer[2:], uint16(f.length+20))
		outer = append(append(outer, source.AsSlice()...), b.Addr.AsSlice()...)
		be.PutUint16(outer[10:], Checksum(outer))
		if df == 0 {
			anyID = 14 + len(b.Way.Tags)
		}
	} else {
		outer = be.AppendUint32(nil, 6<<28|uint32(class)<<20|spread&0xfffff)
		outer = append(be.AppendUint16(outer, uint16(f.length)), inner, 64)
		outer = append(append(outer, source.AsSlice()...), b.Addr.AsSlice()...)
	}
	f.prepend(outer, b.Outer)
	out := f.send(b.Way, b.Src, b.Dst)
	out.AnyID = anyID
	return out
}

// prepend puts bytes between the frame's tags and the packet, and names their family.
func (f *frame) prepend(header []byte, family int) {
	packet := f.bytes[f.ip:]
	out := append(append([]byte{}, f.bytes[:f.ip]...), header...)
	be.PutUint16(out[f.ip-2:], [...]uint16{0x0800, 0x86dd}[family])
	f.bytes = append(out, packet...)
}

// outerSource is the prefix, with bits behind it that differ by flow: of its last four bytes.
func (m *Model) outerSource(family int, spread uint32) netip.Addr {
	p := m.Sources[family]
	b := p.Masked().Addr().AsSlice()
	host := uint64(1)<<min(32, len(b)*8-p.Bits()) - 1
	last := be.Uint32(b[len(b)-4:]) | bits.ReverseBytes32(spread)&uint32(host)
	be.PutUint32(b[len(b)-4:], last)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// clampSYN lowers the MSS that a SYN announces, to or from a backend, to what the way to that one has room for.
func (m *Model) clampSYN(f *frame, b *Backend) {
	most := b.Room - f.headers() - 20
	if f.proto != TCP || f.flags&SYN == 0 || !m.Services[b.Service].ClampMSS || most < 0 {
		return
	}
	at, end := f.l4+20, f.l4+int(f.bytes[f.l4+12]>>4)*4
	for range 12 {
		if at+4 > end || f.bytes[at] == 0 {
			return
		}
		switch kind, length := f.bytes[at], int(f.bytes[at+1]); {
		case kind == 2:
			if length == 4 && int(be.Uint16(f.bytes[at+2:])) > most {
				f.change(f.l4, end, f.l4+16, func() { be.PutUint16(f.bytes[at+2:], uint16(most)) })
				m.Reasons["event_mss"]++
			}
			return
		case kind == 1:
			at++
		case length < 2:
			return
		default:
			at += length
		}
	}
}

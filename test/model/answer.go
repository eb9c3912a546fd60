package model

import (
	"encoding/binary"
	"net/netip"
)

// quoted is how much of a packet an error quotes.
const quoted = 504

// tooBig answers a packet that is larger than its way takes, as a router does.
func (m *Model) tooBig(f *frame, room int) Result {
	from, to := f.to.Addr(), f.from.Addr()
	if f.proto == ICMP && f.family == V4 || f.fragment.later && f.family == V4 || f.proto == ICMPv6 && f.family == V6 || martian(to, from) ||
		!m.Limits.TooBig.take() || f.length < quoted || len(f.bytes) < f.ip+quoted {
		return m.drop("drop_too_big")
	}
	m.Reasons["event_too_big"]++
	if f.family == V4 {
		return f.error(quoted, 3, 4, room)
	}
	return f.error(quoted, 2, 0, room)
}

// error answers a packet with an ICMP error that quotes so many bytes of it.
func (f *frame) error(quote int, kind, code byte, mtu int) Result {
	from, to := f.to.Addr(), f.from.Addr()
	f.bytes = f.bytes[:f.ip+quote]
	icmp := append([]byte{kind, code, 0, 0, 0, 0, 0, 0}, f.bytes[f.ip:]...)
	if f.family == V4 {
		be.PutUint16(icmp[6:], uint16(mtu))
		be.PutUint16(icmp[2:], Checksum(icmp))
		ip := []byte{0x45, 0xc0, 0, 0, 0, 0, 0, 0, 64, ICMP, 0, 0}
		be.PutUint16(ip[2:], uint16(20+len(icmp)))
		ip = append(append(ip, from.AsSlice()...), to.AsSlice()...)
		be.PutUint16(ip[10:], Checksum(ip))
		f.prepend(append(ip, icmp[:8]...), V4)
		return f.answer()
	}
	be.PutUint32(icmp[4:], uint32(mtu))
	be.PutUint16(icmp[2:], Checksum(pseudo(from.AsSlice(), to.AsSlice(), ICMPv6, icmp)))
	ip := []byte{0x60, 0, 0, 0, 0, 0, ICMPv6, 64}
	be.PutUint16(ip[4:], uint16(len(icmp)))
	ip = append(append(ip, from.AsSlice()...), to.AsSlice()...)
	f.prepend(append(ip, icmp[:8]...), V6)
	return f.answer()
}

// What becomes of a packet of a session that leaves its backend.
const (
	resetBackend = "event_reset_backend"
	resetClient  = "event_reset_client"
)

// leaves says whether a flow is to be taken from its backend.
func (m *Model) leaves(family int, e *Entry) bool {
	return e.State == Evicting || m.Backends[family][e.Backend].Lost
}

func (e *Entry) wasReset() bool { return e.State == Evicting && e.Fin }

// depart is a TCP packet in mid-stream of a flow that leaves: the backend is told once, then the client.
func (m *Model) depart(f *frame, e *Entry) (what string) {
	b, was := m.Backends[f.family][e.Backend], e.wasReset()
	e.State, e.Fin, e.Silence = Evicting, true, 0
	if f.flags&RST != 0 { // the client ends it himself
		return ""
	}
	if was {
		return resetClient
	}
	if !m.hasSessions(b.Service, f.family) {
		m.counters(b.Generation).Moved++ // else his session counts, when he comes back
	}
	if b.Lost {
		return resetClient
	}
	return resetBackend
}

// reset makes the packet the client's RST for the backend, or the VIP's for the client. Options and payload go.
func (m *Model) reset(f *frame, l Listener, id uint16, what string) Result {
	if what == resetClient {
		if !m.Limits.Reset.take() {
			return m.drop("drop_reset")
		}
		m.Reasons[what]++
		return f.refused()
	}
	m.Reasons[what]++
	f.becomeRST(f.from, f.to, f.ttl(), rstHeader{seq: f.seq, flags: RST})
	k := Key{Client: f.from, Port: f.to.Port(), VIP: l.VIP}
	return m.forward(f, m.Backends[f.family][id], uint32(m.placeHash(k)), true)
}

// refused answers a TCP packet with the RST that its sender takes: one that acknowledges nothing has its end acknowledged.
func (f *frame) refused() Result {
	h := rstHeader{seq: f.ack, flags: RST}
	if f.flags&ACK == 0 {
		h = rstHeader{ack: f.seq, flags: RST | ACK}
		if !f.opens() {
			h.ack += uint32(f.payload)
		}
		if f.flags&(SYN|FIN) != 0 {
			h.ack++
		}
	}
	f.becomeRST(f.to, f.from, 64, h)
	return f.answer()
}

// rstHeader is what differs from RST to RST.
type rstHeader struct {
	seq, ack uint32
	flags    uint8
}

// becomeRST leaves nothing of a packet but headers.
func (f *frame) becomeRST(from, to netip.AddrPort, ttl uint8, h rstHeader) {
	tcp := be.AppendUint16(be.AppendUint16(nil, from.Port()), to.Port())
	tcp = append(be.AppendUint32(be.AppendUint32(tcp, h.seq), h.ack), 0x50, h.flags, 0, 0, 0, 0, 0, 0)
	be.PutUint16(tcp[16:], Checksum(pseudo(from.Addr().AsSlice(), to.Addr().AsSlice(), TCP, tcp)))
	var ip []byte
	if f.family == V4 {
		ip = append([]byte{0x45, f.bytes[f.ip+1], 0, 40}, f.bytes[f.ip+4:f.ip+6]...)
		ip = append(ip, 0x40, 0, ttl, TCP, 0, 0)
	} else {
		ip = append(append([]byte{}, f.bytes[f.ip:f.ip+4]...), 0, 20, TCP, ttl)
	}
	ip = append(append(ip, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	if f.family == V4 {
		be.PutUint16(ip[10:], Checksum(ip))
	}
	f.bytes = append(append(append([]byte{}, f.bytes[:f.ip]...), ip...), tcp...)
	f.l4, f.length, f.fragment = f.ip+len(ip), len(ip)+20, fragment{}
}

// pseudo is what a transport checksum covers.
func pseudo(from, to []byte, proto uint8, body []byte) []byte {
	b := append(append([]byte{}, from...), to...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(append(b, 0, 0, 0, proto), body...)
}

// Checksum of RFC 1071, computed in full.
func Checksum(b []byte) uint16 {
	sum := 0
	for i, x := range b {
		if i%2 == 0 {
			sum += int(x) << 8
		} else {
			sum += int(x)
		}
	}
	if sum > 0 && sum%0xffff == 0 {
		return 0
	}
	return uint16(0xffff - sum%0xffff)
}

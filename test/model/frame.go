package model

import (
	"encoding/binary"
	"net/netip"
)

// TCP flags.
const (
	FIN = 1 << 0
	SYN = 1 << 1
	RST = 1 << 2
	ACK = 1 << 4
)

var be = binary.BigEndian

// frame is a packet as its bytes tell it.
type frame struct {
	bytes    []byte // may be changed
	in       []byte // as it came
	iface    uint32 // by which it came
	ip, l4   int    // where the headers begin
	family   int
	from, to netip.AddrPort
	proto    uint8
	flags    uint8 // 0 for UDP, as the rest is
	seq, ack uint32
	payload  int
	length   int      // of the IP packet, as its header says
	fragment fragment // what it is of a datagram in fragments
}

// fragment of a datagram. The zero fragment is a whole one.
type fragment struct {
	first, later bool
	id           [4]byte // IPv4: two bytes
}

// opens: a SYN that begins a connection.
func (f *frame) opens() bool { return f.proto == TCP && f.flags&(SYN|ACK) == SYN }

// midstream: a TCP packet that does not begin a connection.
func (f *frame) midstream() bool { return f.proto == TCP && !f.opens() }

// endSeq is the sequence number after a SYN, whose data may be missing when it is sent again, or after a FIN.
func (f *frame) endSeq() uint32 {
	if f.opens() {
		return f.seq + 1
	}
	return f.seq + uint32(f.payload) + 1
}

// fault is why a frame can't be read on.
type fault int

const (
	sound fault = iota
	cutTags
	notIP
	badIP     // the IP header is broken
	foreign   // neither TCP nor UDP
	headless  // a later fragment, without a transport header
	control   // ICMP
	malformed // the transport header is broken, or can't be reached
)

// read takes a frame apart. Behind a fault the fields are those that were read before it.
func read(b []byte) (frame, fault) {
	f := frame{bytes: b}
	at, ethType := 14, be.Uint16(b[12:])
	for range 2 {
		if ethType != 0x8100 && ethType != 0x88a8 {
			break
		}
		if len(b) < at+4 {
			return f, cutTags
		}
		at, ethType = at+4, be.Uint16(b[at+2:])
	}
	f.ip = at
	switch ethType {
	case 0x0800:
		return f, f.readIPv4(b[at:])
	case 0x86dd:
		f.family = V6
		return f, f.readIPv6(b[at:])
	}
	return f, notIP
}

func (f *frame) readIPv4(b []byte) fault {
	if len(b) < 20 || b[0]>>4 != 4 {
		return badIP
	}
	header := int(b[0]&15) * 4
	if header < 20 || header > len(b) {
		return badIP
	}
	f.proto = b[9]
	f.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), 0)
	f.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), 0)
	f.l4, f.length = f.ip+header, int(be.Uint16(b[2:]))
	where := be.Uint16(b[6:]) & 0x3fff
	f.fragment = fragment{first: where == 0x2000, later: where&0x1fff != 0, id: [4]byte{b[4], b[5]}}
	switch {
	case f.proto == ICMP:
		return control
	case f.proto != TCP && f.proto != UDP:
		return foreign
	case f.fragment.later:
		return headless
	}
	return f.readTransport(b[header:], f.length-header)
}

func (f *frame) readIPv6(b []byte) fault {
	if len(b) < 40 || b[0]>>4 != 6 {
		return badIP
	}
	f.length = 40 + int(be.Uint16(b[4:]))
	f.from = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])), 0)
	f.to = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:])), 0)
	next, at, ok := skipExtensions(b, b[6], 40)
	if next == 44 && ok {
		if len(b) < at+8 {
			return malformed
		}
		where := be.Uint16(b[at+2:])
		f.fragment = fragment{first: where&0xfff9 == 1, later: where&0xfff8 != 0, id: [4]byte(b[at+4:])}
		if f.fragment.later {
			f.l4 = f.ip + at + 8
			return headless
		}
		next, at, ok = skipExtensions(b, b[at], at+8)
		if ok && next == ICMPv6 {
			next = 255 // in fragments it is nobody's
		}
	}
	f.proto, f.l4 = next, f.ip+at
	switch {
	case !ok || next == 59:
		return malformed
	case next == ICMPv6:
		return control
	case next == TCP || next == UDP:
		return f.readTransport(b[at:], f.length-at)
	}
	return foreign
}

// rest is how many bytes the IP header promises behind a place.
func (f *frame) rest(at int) int { return f.length - (at - f.ip) }

// whole says whether the frame has all that the IP header promises.
func (f *frame) whole() bool { return f.rest(f.l4) >= 0 && f.ip+f.length <= len(f.bytes) }

// skipExtensions walks over headers that only say what follows. It says what is behind them, which is nothing (59) behind
// six, and whether it got there.
func skipExtensions(b []byte, next uint8, at int) (uint8, int, bool) {
	for n := 0; next == 0 || next == 43 || next == 60; n++ {
		if len(b) < at+8 || len(b) < at+8+int(b[at+1])*8 {
			return next, at, false
		}
		next, at = b[at], at+8+int(b[at+1])*8
		if n == 5 {
			return 59, at, true
		}
	}
	return next, at, true
}

// readTransport reads what the IP header says to be room bytes of b. What is behind them is padding.
func (f *frame) readTransport(b []byte, room int) fault {
	if room < 8 || room > len(b) {
		return malformed
	}
	b = b[:room]
	if f.proto == UDP {
		if length := int(be.Uint16(b[4:])); length < 8 || length > room && !f.fragment.first {
			return malformed
		}
	} else {
		if room < 20 || int(b[12]>>4) < 5 || int(b[12]>>4)*4 > room {
			return malformed
		}
		f.flags, f.seq, f.ack = b[13], be.Uint32(b[4:]), be.Uint32(b[8:])
		f.payload = room - int(b[12]>>4)*4
	}
	f.from = netip.AddrPortFrom(f.from.Addr(), be.Uint16(b))
	f.to = netip.AddrPortFrom(f.to.Addr(), be.Uint16(b[2:]))
	return sound
}

package e2e

import (
	"encoding/binary"
	"net/netip"
)

// IP protocols and TCP flags.
const (
	tcp = 6
	udp = 17

	fin = 1 << 0
	syn = 1 << 1
	rst = 1 << 2
	ack = 1 << 4
)

// frame is a TCP segment or UDP datagram in Ethernet.
type frame struct {
	dst, src [6]byte
	from, to netip.AddrPort
	proto    uint8
	flags    uint8
	seq, ack uint32
	payload  []byte
	fragment uint16 // IPv4: the word of flags and offset
}

// bytes builds the frame, with checksums.
func (f frame) bytes() []byte {
	l4 := f.transport()
	b := append(append(make([]byte, 0, 128), f.dst[:]...), f.src[:]...)
	from, to := f.from.Addr().AsSlice(), f.to.Addr().AsSlice()
	if f.to.Addr().Is4() {
		b = append(b, 0x08, 0x00, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+len(l4)))
		b = append(b, 0, 0)
		b = binary.BigEndian.AppendUint16(b, f.fragment)
		b = append(b, 64, f.proto, 0, 0)
		b = append(append(b, from...), to...)
		binary.BigEndian.PutUint16(b[24:], ^sum16(b[14:34]))
	} else {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(l4)))
		b = append(b, f.proto, 64)
		b = append(append(b, from...), to...)
	}
	return append(b, l4...)
}

func (f frame) transport() []byte {
	b := binary.BigEndian.AppendUint16(nil, f.from.Port())
	b = binary.BigEndian.AppendUint16(b, f.to.Port())
	at := 6
	if f.proto == tcp {
		at = 16
		b = binary.BigEndian.AppendUint32(b, f.seq)
		b = binary.BigEndian.AppendUint32(b, f.ack)
		b = append(b, 5<<4, f.flags, 0xff, 0xff, 0, 0, 0, 0)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(f.payload)))
		b = append(b, 0, 0)
	}
	b = append(b, f.payload...)
	pseudo := append(f.from.Addr().AsSlice(), f.to.Addr().AsSlice()...)
	pseudo = append(binary.BigEndian.AppendUint32(pseudo, uint32(len(b))), 0, 0, 0, f.proto)
	sum := ^sum16(append(pseudo, b...))
	if f.proto == udp && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], sum)
	return b
}

// sum16 is the ones' complement sum of RFC 1071.
func sum16(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// parse reads a TCP or UDP frame without IP options; false for any other.
func parse(b []byte) (f frame, ok bool) {
	if len(b) < 54 {
		return f, false
	}
	copy(f.dst[:], b)
	copy(f.src[:], b[6:])
	var from, to []byte
	switch binary.BigEndian.Uint16(b[12:]) {
	case 0x0800:
		f.proto, from, to = b[23], b[26:30], b[30:34]
		b = b[34:min(len(b), 14+int(binary.BigEndian.Uint16(b[16:])))]
	case 0x86dd:
		f.proto, from, to = b[20], b[22:38], b[38:54]
		b = b[54:]
	default:
		return f, false
	}
	if f.proto != tcp && f.proto != udp || len(b) < 8 || f.proto == tcp && len(b) < 20 {
		return f, false
	}
	f.from = addrPort(from, b)
	f.to = addrPort(to, b[2:])
	if f.proto == udp {
		f.payload = b[8:]
		return f, true
	}
	f.seq, f.ack, f.flags = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), b[13]
	f.payload = b[min(len(b), int(b[12]>>4)*4):]
	return f, true
}

func addrPort(addr, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(addr)
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port))
}

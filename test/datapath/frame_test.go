package datapath

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

const (
	tcp = 6
	udp = 17
)

// TCP flags.
const (
	fin = 1 << 0
	syn = 1 << 1
	rst = 1 << 2
	psh = 1 << 3
	ack = 1 << 4
)

// noWindow is a window of 0.
const noWindow = 1 << 16

type mac [6]byte

// tag is a VLAN tag.
type tag struct{ tpid, tci uint16 }

// extension is an IPv6 extension header without its first byte, which says what follows.
type extension struct {
	kind uint8
	body []byte
}

// frame describes a packet; bytes builds it, with correct lengths and checksums unless a field says otherwise.
type frame struct {
	dst, src    mac
	tags        []tag
	from, to    netip.AddrPort
	proto       uint8
	ttl         uint8
	id, frag    uint16 // IPv4: the words of these names
	ipOptions   []byte // IPv4: a multiple of four bytes
	extensions  []extension
	flags       uint8
	seq, ack    uint32
	tcpOptions  []byte // a multiple of four bytes
	window      uint32 // 0: 0xffff
	payload     []byte
	noChecksum  bool // UDP
	padding     int  // bytes behind the packet
	lengthDelta int  // added to the length that the IP header says
	udpDelta    int  // added to the length that the UDP header says
	ihl, doff   int  // in words; 0: the right one
	version     int  // 0: the right one
	tos         uint8
	label       uint32 // IPv6: the flow label
	icmp        icmpMessage
	body        []byte // what stands behind IP, when it is not to be built
}

// change is f with something changed.
func (f frame) change(c func(*frame)) frame {
	c(&f)
	return f
}

func (f frame) bytes() []byte {
	b := append(append(make([]byte, 0, 128), f.dst[:]...), f.src[:]...)
	for _, t := range f.tags {
		b = binary.BigEndian.AppendUint16(b, t.tpid)
		b = binary.BigEndian.AppendUint16(b, t.tci)
	}
	if f.to.Addr().Is4() {
		b = f.appendIPv4(binary.BigEndian.AppendUint16(b, 0x0800))
	} else {
		b = f.appendIPv6(binary.BigEndian.AppendUint16(b, 0x86dd))
	}
	return append(b, bytes.Repeat([]byte{0xa5}, f.padding)...) // not 0: whoever counts it as payload shows
}

func (f frame) appendIPv4(b []byte) []byte {
	l4 := f.transport()
	header := 20 + len(f.ipOptions)
	ihl, version := header/4, 4
	if f.ihl != 0 {
		ihl = f.ihl
	}
	if f.version != 0 {
		version = f.version
	}
	h := []byte{byte(version<<4 | ihl), f.tos}
	h = binary.BigEndian.AppendUint16(h, uint16(header+len(l4)+f.lengthDelta))
	h = binary.BigEndian.AppendUint16(h, f.id)
	h = binary.BigEndian.AppendUint16(h, f.frag)
	h = append(h, f.ttl, f.proto, 0, 0)
	h = append(h, f.from.Addr().AsSlice()...)
	h = append(h, f.to.Addr().AsSlice()...)
	h = append(h, f.ipOptions...)
	binary.BigEndian.PutUint16(h[10:], ^sum16(h))
	return append(append(b, h...), l4...)
}

func (f frame) appendIPv6(b []byte) []byte {
	l4 := f.transport()
	next, body := f.proto, []byte{}
	for i := len(f.extensions) - 1; i >= 0; i-- {
		e := f.extensions[i]
		body = append(append([]byte{next}, e.body...), body...)
		next = e.kind
	}
	body = append(body, l4...)
	version := 6
	if f.version != 0 {
		version = f.version
	}
	b = append(b, byte(version<<4)|f.tos>>4, f.tos<<4|byte(f.label>>16), byte(f.label>>8), byte(f.label))
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)+f.lengthDelta))
	b = append(b, next, f.ttl)
	b = append(b, f.from.Addr().AsSlice()...)
	b = append(b, f.to.Addr().AsSlice()...)
	return append(b, body...)
}

// transport builds the header and the payload behind IP.
func (f frame) transport() []byte {
	if f.body != nil {
		return f.body
	}
	if f.proto == icmp4 || f.proto == icmp6 {
		return f.appendICMP()
	}
	b := binary.BigEndian.AppendUint16(nil, f.from.Port())
	b = binary.BigEndian.AppendUint16(b, f.to.Port())
	check := 6
	if f.proto == tcp {
		check = 16
		b = f.appendTCP(b)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(f.payload)+f.udpDelta))
		b = append(b, 0, 0)
	}
	b = append(b, f.payload...)
	covered := len(b)
	if f.proto == udp && f.udpDelta < 0 {
		covered += f.udpDelta // what is behind a datagram's end is no part of it
	}
	sum := ^sum16(append(f.pseudoHeader(covered), b[:covered]...))
	if f.proto == udp && sum == 0 {
		sum = 0xffff
	}
	if f.proto == udp && f.noChecksum {
		sum = 0
	}
	binary.BigEndian.PutUint16(b[check:], sum)
	return b
}

func (f frame) appendTCP(b []byte) []byte {
	doff := 5 + len(f.tcpOptions)/4
	if f.doff != 0 {
		doff = f.doff
	}
	b = binary.BigEndian.AppendUint32(b, f.seq)
	b = binary.BigEndian.AppendUint32(b, f.ack)
	window := uint16(0xffff)
	if f.window != 0 {
		window = uint16(f.window)
	}
	b = append(b, byte(doff<<4), f.flags)
	b = append(binary.BigEndian.AppendUint16(b, window), 0, 0, 0, 0)
	return append(b, f.tcpOptions...)
}

// pseudoHeader is what the transport checksum covers beside the segment, padded to whole words.
func (f frame) pseudoHeader(length int) []byte {
	b := append(f.from.Addr().AsSlice(), f.to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, f.proto)
}

// sum16 is the ones' complement sum of RFC 1071, computed in full.
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

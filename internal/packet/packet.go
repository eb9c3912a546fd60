// Package packet reads the headers of a frame, for people to see: what is cut off or broken it leaves out.
package packet

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Packet is what the beginning of a frame says.
type Packet struct {
	Target, Source [6]byte        // MAC addresses
	From, To       netip.AddrPort // without a port where there is none
	Protocol       uint8          // behind IP and its extension headers
	Later          bool           // a fragment behind the first
}

const (
	icmp     = 1
	tcp      = 6
	udp      = 17
	fragment = 44
	icmp6    = 58
	ipip     = 4
	ip6      = 41

	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
)

// Name of the protocol, its number where nobody gave it one here; a later fragment says so.
func (p Packet) Name() string {
	if !p.From.IsValid() {
		return ""
	}
	name, known := map[uint8]string{icmp: "icmp", tcp: "tcp", udp: "udp", icmp6: "icmpv6", ipip: "ipip", ip6: "ip6"}[p.Protocol]
	if !known {
		name = strconv.Itoa(int(p.Protocol))
	}
	if p.Later {
		name += " fragment"
	}
	return name
}

// Parse reads a frame of Ethernet with up to two tags; false when it is neither IPv4 nor IPv6, or cut off before its
// addresses. The MAC addresses are read all the same.
func Parse(b []byte) (p Packet, ok bool) {
	if len(b) < 14 {
		return p, false
	}
	copy(p.Target[:], b)
	copy(p.Source[:], b[6:])
	kind, b := binary.BigEndian.Uint16(b[12:]), b[14:]
	for range 2 {
		if (kind == 0x8100 || kind == 0x88a8) && len(b) >= 4 {
			kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		}
	}
	switch {
	case kind == typeIPv4 && len(b) >= 20:
		p.ipv4(b)
	case kind == typeIPv6 && len(b) >= 40:
		p.ipv6(b)
	default:
		return p, false
	}
	return p, true
}

func (p *Packet) ipv4(b []byte) {
	p.Protocol, p.Later = b[9], binary.BigEndian.Uint16(b[6:])&0x1fff != 0
	p.addresses(b[12:16], b[16:20], b[min(len(b), int(b[0]&0xf)*4):])
}

func (p *Packet) ipv6(b []byte) {
	next, rest := b[6], b[40:]
	for isExtension(next) && len(rest) >= 8 && !p.Later {
		length := 8
		if next == fragment {
			p.Later = binary.BigEndian.Uint16(rest[2:])&0xfff8 != 0
		} else {
			length += 8 * int(rest[1])
		}
		next, rest = rest[0], rest[min(len(rest), length):]
	}
	p.Protocol = next
	p.addresses(b[8:24], b[24:40], rest)
}

// isExtension: hop-by-hop, routing and destination options, and the fragment header.
func isExtension(next uint8) bool {
	return next == 0 || next == 43 || next == 60 || next == fragment
}

func (p *Packet) addresses(from, to, transport []byte) {
	source, _ := netip.AddrFromSlice(from)
	target, _ := netip.AddrFromSlice(to)
	var ports [2]uint16
	if (p.Protocol == tcp || p.Protocol == udp) && !p.Later && len(transport) >= 4 {
		ports = [2]uint16{binary.BigEndian.Uint16(transport), binary.BigEndian.Uint16(transport[2:])}
	}
	p.From, p.To = netip.AddrPortFrom(source, ports[0]), netip.AddrPortFrom(target, ports[1])
}

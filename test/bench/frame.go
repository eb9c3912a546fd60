package main

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

type mac [6]byte

// TCP flags.
const (
	syn = 1 << 1
	ack = 1 << 4
)

const (
	headerBytes   = 54 // Ethernet, IPv4, TCP
	header6Bytes  = 74 // Ethernet, IPv6, TCP
	checksummed   = 20 // bytes of an IPv4 or TCP header without options
	ipAt, tcpAt   = 14, 34
	protocolUDP   = 17
	protocolTCP   = 6
	pseudoHeader  = 12
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
)

// segment builds a TCP segment without data, with correct checksums.
func segment(dst, src mac, from, to netip.AddrPort, flags byte) []byte {
	f := make([]byte, headerBytes)
	copy(f, dst[:])
	copy(f[6:], src[:])
	be := binary.BigEndian
	be.PutUint16(f[12:], etherTypeIPv4)
	ip, tcp := f[ipAt:tcpAt], f[tcpAt:]
	ip[0], ip[8], ip[9] = 0x45, 64, protocolTCP
	be.PutUint16(ip[2:], checksummed*2)
	copy(ip[12:], from.Addr().AsSlice())
	copy(ip[16:], to.Addr().AsSlice())
	be.PutUint16(ip[10:], checksum(ip))
	be.PutUint16(tcp, from.Port())
	be.PutUint16(tcp[2:], to.Port())
	tcp[12], tcp[13] = checksummed/4<<4, flags
	pseudo := make([]byte, pseudoHeader, pseudoHeader+checksummed)
	copy(pseudo, ip[12:20])
	pseudo[9], pseudo[11] = protocolTCP, checksummed
	be.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	return f
}

// segment6 is segment in IPv6. Its TCP checksum is 0: neither dsr nor ipip looks at it.
func segment6(dst, src mac, from, to netip.AddrPort, flags byte) []byte {
	f := make([]byte, header6Bytes)
	copy(f, dst[:])
	copy(f[6:], src[:])
	be := binary.BigEndian
	be.PutUint16(f[12:], etherTypeIPv6)
	ip, tcp := f[ipAt:header6Bytes-checksummed], f[header6Bytes-checksummed:]
	ip[0], ip[6], ip[7] = 0x60, protocolTCP, 64
	be.PutUint16(ip[4:], checksummed)
	copy(ip[8:], from.Addr().AsSlice())
	copy(ip[24:], to.Addr().AsSlice())
	be.PutUint16(tcp, from.Port())
	be.PutUint16(tcp[2:], to.Port())
	tcp[12], tcp[13] = checksummed/4<<4, flags
	return f
}

// datagram is the same frame with a UDP header in place of the TCP header, and its rest as payload. It has no checksum.
func datagram(tcp []byte) []byte {
	f := slices.Clone(tcp)
	ip, udp := f[ipAt:tcpAt], f[tcpAt:]
	ip[9] = protocolUDP
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	clear(udp[4:])
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	return f
}

// checksum is RFC 1071's, over an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}

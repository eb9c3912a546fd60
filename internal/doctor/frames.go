package doctor

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// echoID marks echo requests of the doctor's.
const echoID = 0xebb7

// arpHead is of requests: Ethernet, IPv4, sizes 6 and 4, operation 1. A reply's last byte is 2.
var arpHead = []byte{0, 1, 8, 0, 6, 4, 0, 1}

// arpRequest asks who has an address.
func (q *inquiry) arpRequest(who netip.Addr) []byte {
	return slices.Concat(arpHead, q.iface.Attrs().HardwareAddr, q.from.AsSlice(), make([]byte, 6), who.AsSlice())
}

// arpReply says who answers, and for which address.
func arpReply(b []byte) (who netip.Addr, from mac, ok bool) {
	if len(b) < 28 || !slices.Equal(b[:7], arpHead[:7]) || b[7] != 2 {
		return who, from, false
	}
	return netip.AddrFrom4([4]byte(b[14:18])), mac(b[8:14]), true
}

// echoRequest is an IPv4 packet without options. The number comes back with the answer.
func echoRequest(from, to netip.Addr, number int) []byte {
	icmp := []byte{8, 0, 0, 0}
	icmp = binary.BigEndian.AppendUint16(icmp, echoID)
	icmp = binary.BigEndian.AppendUint16(icmp, uint16(number))
	icmp = append(icmp, "ebbtide doctor: is this VIP yours?"...)
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0}
	ip = slices.Concat(ip, from.AsSlice(), to.AsSlice())
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(icmp)))
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	return append(ip, icmp...)
}

// echoReply gives who answers, and the number of the request.
func echoReply(b []byte) (from netip.Addr, number int, ok bool) {
	if len(b) < 20 {
		return from, 0, false
	}
	head := int(b[0]&0xf) * 4
	if b[0]>>4 != 4 || b[9] != 1 || head < 20 || len(b) < head+8 {
		return from, 0, false
	}
	icmp := b[head:]
	if icmp[0] != 0 || icmp[1] != 0 || binary.BigEndian.Uint16(icmp[4:]) != echoID {
		return from, 0, false
	}
	return netip.AddrFrom4([4]byte(b[12:16])), int(binary.BigEndian.Uint16(icmp[6:])), true
}

// checksum of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

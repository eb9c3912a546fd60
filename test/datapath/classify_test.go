package datapath

import (
	"encoding/binary"

	"net/netip"
	"slices"

	"github.com/ebbtide/ebbtide/maps"
)

// class is what a frame is, as a parser sees it that knows the world's listeners: the reason counted when it goes no
// further, or "" when it is to be served.
type class string

const served class = ""

// matches says whether a verdict and the counters that moved are of this class. A served packet may be dropped for
// reasons that its bytes do not tell, but not as broken.
func (c class) matches(v verdict, moved moves) bool {
	if c != served {
		return moved.String() == moves{string(c): 1}.String() && v == map[bool]verdict{true: pass, false: drop}[c[:4] == "pass"]
	}
	for _, reason := range []string{"drop_malformed", "drop_fragment", "pass_malformed", "pass_not_ip", "pass_not_ours", "pass_other_mac"} {
		if moved[reason] != 0 {
			return false
		}
	}
	return v == tx || moved["drop_ttl"] == 1 || moved["pass_no_flow"] == 1
}

func (c class) String() string {
	if c == served {
		return "served"
	}
	return string(c)
}

// classify reads a frame the plain way.
func classify(b []byte) class {
	if [6]byte(b[:6]) != hostMAC {
		return "pass_other_mac"
	}
	ethType, b := binary.BigEndian.Uint16(b[12:]), b[14:]
	for range 2 {
		if ethType != 0x8100 && ethType != 0x88a8 {
			break
		}
		if len(b) < 4 {
			return "pass_not_ip"
		}
		ethType, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	switch ethType {
	case 0x0800:
		return classifyIPv4(b)
	case 0x86dd:
		return classifyIPv6(b)
	}
	return "pass_not_ip"
}

func classifyIPv4(b []byte) class {
	if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 || len(b) < int(b[0]&15)*4 {
		return "pass_malformed"
	}
	header, total, proto := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:])), b[9]
	from, to := netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	if proto != tcp && proto != udp {
		return "pass_not_ours"
	}
	fragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0
	broken := total < header || total > len(b)
	return classifyTransport(b[header:], total-header, proto, from, to, fragment, broken)
}

func classifyIPv6(b []byte) class {
	if len(b) < 40 || b[0]>>4 != 6 {
		return "pass_malformed"
	}
	room, proto := int(binary.BigEndian.Uint16(b[4:])), b[6]
	from, to := netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	b = b[40:]
	for n := 0; slices.Contains([]uint8{0, 43, 60}, proto); n++ {
		if n == 5 || len(b) < 8 || len(b) < int(b[1])*8+8 {
			return classifyTransport(nil, 0, proto, from, to, false, true)
		}
		length := int(b[1])*8 + 8
		proto, b, room = b[0], b[length:], room-length
	}
	if proto == 44 || proto == 59 {
		return classifyTransport(nil, 0, proto, from, to, proto == 44, proto == 59)
	}
	if proto != tcp && proto != udp {
		return "pass_not_ours"
	}
	return classifyTransport(b, room, proto, from, to, false, room < 0 || room > len(b))
}

// classifyTransport judges what is behind IP. What can't be read is ours when its VIP has listeners, as each VIP of the
// world has for TCP and for UDP.
func classifyTransport(b []byte, room int, proto uint8, from, to netip.Addr, fragment, broken bool) class {
	ours := isVIP(to)
	switch {
	case fragment && ours:
		return "drop_fragment"
	case fragment:
		return "pass_not_ours"
	case (broken || !readable(b, room, proto)) && ours:
		return "drop_malformed"
	case broken || !readable(b, room, proto):
		return "pass_not_ours"
	}
	source, dest := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if isListener(to, proto, dest) || isShopBackend(from) && source == shopInner {
		return served
	}
	return "pass_not_ours"
}

func readable(b []byte, room int, proto uint8) bool {
	if proto == tcp {
		return room >= 20 && int(b[12]>>4) >= 5 && int(b[12]>>4)*4 <= room
	}
	if room < 8 {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	return length >= 8 && length <= room
}

func isVIP(a netip.Addr) bool {
	return slices.ContainsFunc([][2]netip.Addr{gameVIP, otherVIP, shopVIP}, func(v [2]netip.Addr) bool { return v[0] == a || v[1] == a })
}

func isListener(a netip.Addr, proto uint8, port uint16) bool {
	switch a {
	case gameVIP[0], gameVIP[1]:
		return port == gamePort || proto == udp && port == gamePort2
	case otherVIP[0], otherVIP[1]:
		return port == gamePort
	case shopVIP[0], shopVIP[1]:
		return port == shopPort
	}
	return false
}

// isShopBackend: of a world with one backend a generation.
func isShopBackend(a netip.Addr) bool {
	for _, f := range maps.Families() {
		for _, id := range []uint16{31, 41} {
			if a == backendAddr(f, id) {
				return true
			}
		}
	}
	return false
}

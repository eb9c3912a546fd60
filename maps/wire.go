package maps

import (
	"encoding/binary"
	"net/netip"
)

// wireAddr lays an address out as the program reads it: the bytes of the wire, an IPv4 address in the first word.
func wireAddr(a netip.Addr) (w [4]uint32) {
	if a.Is4() {
		b := a.As4()
		w[0] = binary.NativeEndian.Uint32(b[:])
		return w
	}
	b := a.As16()
	for i := range w {
		w[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return w
}

func hostAddr(f Family, w [4]uint32) netip.Addr {
	if f == IPv4 {
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], w[0])
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	for i, x := range w {
		binary.NativeEndian.PutUint32(b[4*i:], x)
	}
	return netip.AddrFrom16(b)
}

// wirePort swaps between a port as a number and as the program reads it; it is its own inverse.
func wirePort(p uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], p)
	return binary.NativeEndian.Uint16(b[:])
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

func wireName(s string) (b [NameLen]uint8) {
	copy(b[:NameLen-1], s)
	return b
}

func hostName(b [NameLen]uint8) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b[:])
}

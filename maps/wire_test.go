package maps

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// In memory an address and a port lie as on the wire, whatever the CPU's byte order: that is how the program reads them.
func TestAddressesAndPortsLieAsOnTheWire(t *testing.T) {
	four := wireAddr(netip.MustParseAddr("192.0.2.1"))
	if got := [4]byte(bytesOf(&four)); got != [4]byte{192, 0, 2, 1} {
		t.Errorf("192.0.2.1 lies as % x", got)
	}
	six := wireAddr(netip.MustParseAddr("2001:db8::1"))
	if got := [16]byte(bytesOf(&six)); got != netip.MustParseAddr("2001:db8::1").As16() {
		t.Errorf("2001:db8::1 lies as % x", got)
	}
	port := wirePort(7777)
	if got := binary.BigEndian.Uint16(bytesOf(&port)); got != 7777 {
		t.Errorf("port 7777 lies as %d", got)
	}
}

func bytesOf[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }

func TestWireAndHostAreInverse(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		port := rapid.Uint16().Draw(r, "port")
		if got := wirePort(wirePort(port)); got != port {
			r.Fatalf("port %d comes back as %d", port, got)
		}
		addr := drawAddr(r)
		if got := hostAddr(familyOf(addr), wireAddr(addr)); got != addr {
			r.Fatalf("%v comes back as %v", addr, got)
		}
		name := rapid.StringMatching(`[a-z0-9-]{0,31}`).Draw(r, "name")
		if got := hostName(wireName(name)); got != name {
			r.Fatalf("%q comes back as %q", name, got)
		}
	})
}

func drawAddr(r *rapid.T) netip.Addr {
	b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "address")
	if rapid.Bool().Draw(r, "IPv4") {
		return netip.AddrFrom4([4]byte(b))
	}
	b[0] = 0x20 // not an IPv4 address mapped into IPv6
	return netip.AddrFrom16([16]byte(b))
}

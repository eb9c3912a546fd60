package model

import (
	"net/netip"
	"slices"
)

// ttl is the packet's TTL or hop limit.
func (f *frame) ttl() uint8 { return f.bytes[f.ttlAt()] }

func (f *frame) ttlAt() int {
	if f.family == V4 {
		return f.ip + 8
	}
	return f.ip + 7
}

// headers is the length of the IP header without options.
func (f *frame) headers() int {
	if f.family == V4 {
		return 20
	}
	return 40
}

func (f *frame) addrLen() int {
	if f.family == V4 {
		return 4
	}
	return 16
}

func (f *frame) sourceAt() int { return f.ip + f.headers() - 2*f.addrLen() }

// change writes between two places, and the checksum that covers them is off by just as much afterwards as before.
func (f *frame) change(from, to, sum int, write func()) {
	before := slices.Clone(f.bytes[from:to])
	write()
	f.refresh(sum, difference(before, f.bytes[from:to]))
}

// header changes the IP header. Only IPv4 has a checksum of it.
func (f *frame) header(write func()) {
	if f.family == V6 {
		write()
		return
	}
	f.change(f.ip, f.ip+20, f.ip+10, write)
}

func (f *frame) setTTL(ttl uint8) { f.header(func() { f.bytes[f.ttlAt()] = ttl }) }

// lowerTTL is a router's share, as RFC 1141 tells: a checksum of 0 stands for 65,535 too.
func (f *frame) lowerTTL() {
	f.bytes[f.ttlAt()]--
	if f.family == V4 {
		sum := int(be.Uint16(f.bytes[f.ip+10:])) + 0x100
		if sum >= 0xffff {
			sum -= 0xffff
		}
		be.PutUint16(f.bytes[f.ip+10:], uint16(sum))
	}
}

// setAddrs changes source and destination for each other, which leaves the sums as they are.
func (f *frame) setAddrs(source, destination netip.Addr) {
	copy(f.bytes[f.sourceAt():], source.AsSlice())
	copy(f.bytes[f.sourceAt()+f.addrLen():], destination.AsSlice())
}

// translate writes another source or destination, as a router that changes addresses: the TTL goes down. Port 0 keeps the
// packet's, and without ports there is nothing behind the IP header to change.
func (f *frame) translate(source bool, to netip.AddrPort, ports bool) {
	addr, port := f.sourceAt(), f.l4
	if !source {
		addr, port = addr+f.addrLen(), f.l4+2
	}
	was := slices.Clone(f.bytes[addr : addr+f.addrLen()])
	f.header(func() {
		copy(f.bytes[addr:], to.Addr().AsSlice())
		f.bytes[f.ttlAt()]--
	})
	if !ports {
		return
	}
	growth := difference(was, to.Addr().AsSlice())
	if to.Port() != 0 {
		growth += int(to.Port()) - int(be.Uint16(f.bytes[port:]))
		be.PutUint16(f.bytes[port:], to.Port())
	}
	sum := f.l4 + 6
	if f.proto == TCP {
		sum = f.l4 + 16
	}
	f.refreshTransport(f.proto, sum, growth)
}

// refreshTransport: a datagram without a checksum keeps none, and no other one gets none.
func (f *frame) refreshTransport(proto uint8, at, growth int) {
	if proto == UDP && be.Uint16(f.bytes[at:]) == 0 {
		return
	}
	f.refresh(at, growth)
	if proto == UDP && be.Uint16(f.bytes[at:]) == 0 {
		be.PutUint16(f.bytes[at:], 0xffff)
	}
}

// refresh changes a checksum by what the sum of the bytes it covers has grown. Sums are counted modulo 65,535, where 0 is
// written as 65,535.
func (f *frame) refresh(at int, growth int) {
	sum := (0xffff - int(be.Uint16(f.bytes[at:])) + growth) % 0xffff
	if sum <= 0 {
		sum += 0xffff
	}
	be.PutUint16(f.bytes[at:], uint16(0xffff-sum))
}

// difference of the sums of 16-bit words.
func difference(before, after []byte) (d int) {
	for i := 0; i+1 < len(before); i += 2 {
		d += int(be.Uint16(after[i:])) - int(be.Uint16(before[i:]))
	}
	return d
}

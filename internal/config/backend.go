package config

import (
	"net/netip"
	"slices"
)

// MaxWeight is the largest weight of a backend, DefaultWeight what it has
// where the file says nothing.
const (
	MaxWeight     = 256
	DefaultWeight = 1
)

// MaxCapacity is the most sessions that a backend may be said to hold.
const MaxCapacity = 100_000_000

// Backend is one real server of a pool.
type Backend struct {
	Addresses []netip.Addr // one, or the IPv4 and then the IPv6 one
	Port      uint16       // 0: the listener's
	Weight    uint32       // 0: no new sessions
	Capacity  uint32       // sessions that it holds; 0: not said
}

// Addr4 gives the IPv4 address, or the invalid zero address.
func (b Backend) Addr4() netip.Addr { return b.first(netip.Addr.Is4) }

// Addr6 gives the IPv6 address, or the invalid zero address.
func (b Backend) Addr6() netip.Addr { return b.first(netip.Addr.Is6) }

// AddrFor gives the address of the same family as vip, or the invalid zero
// address.
func (b Backend) AddrFor(vip netip.Addr) netip.Addr {
	if vip.Is4() {
		return b.Addr4()
	}
	return b.Addr6()
}

// Outer gives the address to which ipip carries packets for vip: that of the
// same family, and for an IPv4 VIP else the IPv6 one.
func (b Backend) Outer(vip netip.Addr) netip.Addr {
	if addr := b.AddrFor(vip); addr.IsValid() {
		return addr
	}
	if vip.Is4() {
		return b.Addr6()
	}
	return netip.Addr{}
}

func (b Backend) first(is func(netip.Addr) bool) netip.Addr {
	if i := slices.IndexFunc(b.Addresses, is); i >= 0 {
		return b.Addresses[i]
	}
	return netip.Addr{}
}

// placedBackend is a backend and where the file says so.
type placedBackend struct {
	Backend
	at      value
	address value
	port    value
}

// duplicate reports that b is the backend before once more.
func (b *placedBackend) duplicate(before *placedBackend, rule string) {
	early, late := before, b
	if late.address.line < early.address.line {
		early, late = late, early
	}
	late.address.fail("the same backend as %s on line %d: %s", early.at.field, early.address.line, rule)
}

func (v value) backend() (placedBackend, bool) {
	b := placedBackend{at: v, Backend: Backend{Weight: DefaultWeight}}
	fields, ok := v.mapping("address", "port", "weight", "capacity")
	if !ok {
		return b, false
	}
	address, sound := fields.need("address")
	if sound {
		b.address = address
		b.Addresses, sound = address.addresses()
	}
	if weight, ok := fields.get("weight"); ok {
		b.Weight, ok = weight.number(0, MaxWeight)
		sound = sound && ok
	}
	if capacity, ok := fields.get("capacity"); ok {
		b.Capacity, ok = capacity.number(1, MaxCapacity)
		sound = sound && ok
	}
	if port, ok := fields.get("port"); ok {
		b.port = port
		var n uint32
		n, ok = port.number(1, 65535)
		b.Port, sound = uint16(n), sound && ok
	}
	return b, sound
}

// addresses reads one address, or a list of one a family.
func (v value) addresses() ([]netip.Addr, bool) {
	if !v.isList() {
		addr, ok := v.address()
		return []netip.Addr{addr}, ok
	}
	items, sound := v.list()
	var list []netip.Addr
	for _, item := range items {
		addr, ok := item.address()
		if !ok {
			sound = false
			continue
		}
		same := func(other netip.Addr) bool { return other.Is4() == addr.Is4() }
		if slices.ContainsFunc(list, same) {
			item.fail("a second %s address: a backend has one a family", family(addr))
			sound = false
			continue
		}
		list = append(list, addr)
	}
	slices.SortFunc(list, netip.Addr.Compare) // IPv4 sorts before IPv6
	return list, sound
}

package config

import (
	"net/netip"
	"slices"
)

// maxSpread is how many bits of ipip's outer source may differ by flow.
const maxSpread = 32

// OuterSource is where the outer headers of ipip come from, a prefix for each
// family of theirs: what is behind the prefix differs by flow. A family that
// the file does not give has an invalid prefix.
type OuterSource struct {
	IPv4, IPv6 netip.Prefix
}

// For gives the prefix of the family of addr.
func (o OuterSource) For(addr netip.Addr) netip.Prefix {
	if addr.Is4() {
		return o.IPv4
	}
	return o.IPv6
}

func (v value) ipip() OuterSource {
	source, ok := value{}, false
	if fields, sound := v.mapping("source"); sound {
		source, ok = fields.need("source")
	}
	if ok {
		v.d.outer, ok = source.outerSource()
	}
	v.d.noOuter = !ok
	return v.d.outer
}

// outerSource reads one prefix, or a list of one a family.
func (v value) outerSource() (out OuterSource, sound bool) {
	items, sound := []value{v}, true
	if v.isList() {
		items, sound = v.list()
	}
	for _, item := range items {
		prefix, ok := item.outerPrefix()
		if !ok {
			sound = false
			continue
		}
		at := &out.IPv6
		if prefix.Addr().Is4() {
			at = &out.IPv4
		}
		if at.IsValid() {
			item.fail("a second %s prefix: outer headers have one source a family", family(prefix.Addr()))
			sound = false
			continue
		}
		*at = prefix
	}
	return out, sound
}

func (v value) outerPrefix() (netip.Prefix, bool) {
	text, ok := v.text()
	if !ok {
		return netip.Prefix{}, false
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		v.fail("want a prefix such as 10.250.0.0/16 or fd00:eb::/96, got %s", quote(text))
		return netip.Prefix{}, false
	}
	switch spread := prefix.Addr().BitLen() - prefix.Bits(); {
	case prefix != prefix.Masked():
		v.fail("%s has bits behind its length: write %s", prefix, prefix.Masked())
	case spread > maxSpread:
		v.fail("%s: the source differs by flow in the last %d bits at most: write a length of %d or more", prefix, maxSpread, prefix.Addr().BitLen()-maxSpread)
	case badAddress(prefix.Addr()) != "":
		v.fail("%s %s", prefix.Addr(), badAddress(prefix.Addr()))
	case badAddress(lastOf(prefix)) != "":
		v.fail("%s ends at %s, which %s", prefix, lastOf(prefix), badAddress(lastOf(prefix)))
	default:
		return prefix, true
	}
	return netip.Prefix{}, false
}

// lastOf gives the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// checkOuterSource refuses an ipip service that has packets for which no outer
// source is given, and one whose backends would drop them: a host drops what
// comes from an address of its own.
func (d *decoder) checkOuterSource(s *placedService) {
	var missing []string
	for b := range s.backends() {
		for _, l := range s.listeners {
			outer := b.Outer(l.VIP)
			if !outer.IsValid() {
				continue
			}
			if name := family(outer); !d.outer.For(outer).IsValid() && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
		for _, addr := range b.Addresses {
			if p := d.outer.For(addr); p.Contains(addr) {
				b.address.fail("%s lies in ipip.source %s: a backend drops what comes from its own address", addr, p)
			}
		}
	}
	if d.noOuter {
		return
	}
	for _, name := range missing {
		s.mode.fail("ipip needs an %s prefix in ipip.source, for its outer headers", name)
	}
	for _, l := range s.listeners {
		if p := d.outer.For(l.VIP); p.Contains(l.VIP) {
			l.at.fail("%s lies in ipip.source %s: a backend drops what comes from its own address", l.VIP, p)
		}
	}
}

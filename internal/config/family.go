package config

import (
	"net/netip"
	"slices"
)

// checkFamilies refuses a pool none of whose backends a listener could use.
func (s *placedService) checkFamilies() {
	for _, p := range s.pools {
		if !p.sound {
			continue
		}
		reported := map[string]bool{}
		for _, l := range s.listeners {
			usable := func(b placedBackend) bool { return s.reach(b.Backend, l.VIP).IsValid() }
			if name := family(l.VIP); !reported[name] && !slices.ContainsFunc(p.backends, usable) {
				reported[name] = true
				p.list.fail("no backend has an %s address, which %s (%s) needs", name, l.at.field, l.Listener)
			}
		}
	}
}

// reach gives the address at which b serves vip, if it can.
func (s *placedService) reach(b Backend, vip netip.Addr) netip.Addr {
	if s.forwarding == IPIP {
		return b.Outer(vip)
	}
	return b.AddrFor(vip)
}

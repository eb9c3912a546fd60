package config

import "net/netip"

// checkKeptPorts refuses a port that would have to be rewritten, in a mode that
// does not. One that says only what holds anyway is taken as not written.
func (s *placedService) checkKeptPorts() {
	for b := range s.backends() {
		if b.Port != 0 && s.keepsPort(b) {
			b.Port = 0
		}
	}
}

func (s *placedService) keepsPort(b *placedBackend) bool {
	for _, l := range s.listeners {
		if l.First != b.Port || l.Last != b.Port {
			b.port.fail("%d is not the port of %s (%s): %s does not rewrite ports", b.Port, l.at.field, l.Listener, s.forwarding)
			return false
		}
	}
	return true
}

// checkDuplicates refuses an address that is twice in a pool.
func (s *placedService) checkDuplicates() {
	for _, p := range s.pools {
		first := map[netip.Addr]*placedBackend{}
		for i := range p.backends {
			b := &p.backends[i]
			for _, addr := range b.Addresses {
				if before, twice := first[addr]; twice {
					b.duplicate(before, "an address is one backend of a pool")
					break
				}
				first[addr] = b
			}
		}
	}
}

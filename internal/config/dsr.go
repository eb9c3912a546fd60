package config

import "net/netip"

// checkDSRPorts refuses a port that dsr would have to rewrite. One that says
// only what holds anyway is taken as not written.
func (s *placedService) checkDSRPorts() {
	for b := range s.backends() {
		if b.Port != 0 && s.keepsPort(b) {
			b.Port = 0
		}
	}
}

func (s *placedService) keepsPort(b *placedBackend) bool {
	for _, l := range s.listeners {
		if l.First != b.Port || l.Last != b.Port {
			b.port.fail("%d is not the port of %s (%s): dsr does not rewrite ports", b.Port, l.at.field, l.Listener)
			return false
		}
	}
	return true
}

// checkDSRDuplicates refuses an address that is twice in a pool.
func (s *placedService) checkDSRDuplicates() {
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

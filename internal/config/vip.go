package config

import "net/netip"

// checkBackendsAreNoVIPs refuses a backend that would be sent back to here.
func checkBackendsAreNoVIPs(services []placedService) {
	vips := map[netip.Addr]placedListener{}
	for _, s := range services {
		for _, l := range s.listeners {
			if _, ok := vips[l.VIP]; !ok {
				vips[l.VIP] = l
			}
		}
	}
	for i := range services {
		for b := range services[i].backends() {
			b.checkNoVIP(vips)
		}
	}
}

func (b *placedBackend) checkNoVIP(vips map[netip.Addr]placedListener) {
	for _, addr := range b.Addresses {
		if l, ok := vips[addr]; ok {
			b.address.fail("%s is the VIP of %s on line %d", addr, l.at.field, l.at.line)
		}
	}
}

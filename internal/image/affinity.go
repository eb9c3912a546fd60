package image

import (
	"net/netip"

	"github.com/ebbtide/ebbtide/internal/config"
	kernel "github.com/ebbtide/ebbtide/maps"
)

func affinityOf(s config.Service) kernel.Affinity {
	switch s.Affinity {
	case config.AffinityClient:
		return kernel.AffinityClient
	case config.AffinityClientPool:
		return kernel.AffinityClientPool
	}
	return kernel.AffinityFlow
}

// sessionVIPs are the VIP ids under which a service's sessions of clients are kept. It keeps those that it has; without
// sessions of clients they are given up, and go when no entry names them any more.
func (b *builder) sessionVIPs(s config.Service, have [2]uint16) [2]uint16 {
	if affinityOf(s) == kernel.AffinityFlow {
		return [2]uint16{}
	}
	unspecified := [2]netip.Addr{kernel.IPv4: netip.IPv4Unspecified(), kernel.IPv6: netip.IPv6Unspecified()}
	for f, id := range have {
		if id == 0 {
			have[f] = b.next(&b.free.vips)
		}
		b.im.VIPs[have[f]] = kernel.VIP{Addr: unspecified[f], Protocol: kernel.ProtocolSession}
	}
	return have
}

// sessionVIPs says which VIP ids the services keep their clients' sessions under.
func (im *Image) sessionVIPs() map[uint16]bool {
	out := map[uint16]bool{}
	for _, s := range im.Services {
		for _, id := range s.SessionVIP {
			if id != 0 {
				out[id] = true
			}
		}
	}
	return out
}

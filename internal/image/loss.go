package image

import (
	"maps"
	"net/netip"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// Sight is what is known of a backend at an address.
type Sight int

const (
	Unsure Sight = iota // nothing, or this host's own link is down
	There
	Gone // it was asked for, and nobody answered
)

// WithLosses is the image with the backends of services that move sessions lost where nobody is there, until somebody is
// again. Nobody is lost while there is nobody to move to: a backend of the live generation that takes sessions. It is the
// very same image when nothing has changed; else all but its backends is shared, and nobody changes it.
func (im *Image) WithLosses(moves map[uint16]bool, see func(netip.Addr) Sight) *Image {
	changed := map[uint16]Backend{}
	for service := range moves {
		taken := im.taken(service, see)
		for _, g := range im.index.generations[service] {
			for _, id := range im.index.backends[g] {
				b := im.Backends[id]
				for _, f := range kernel.Families() {
					b.Lost[f] = b.lost(f, see, taken[f])
				}
				if b.Lost != im.Backends[id].Lost {
					changed[id] = b
				}
			}
		}
	}
	if len(changed) == 0 {
		return im
	}
	out := *im
	out.Backends = maps.Clone(im.Backends)
	maps.Copy(out.Backends, changed)
	return &out
}

func (b Backend) lost(f kernel.Family, see func(netip.Addr) Sight, taken bool) bool {
	if !b.Addrs[f].IsValid() {
		return false
	}
	switch see(b.Addrs[f]) {
	case There:
		return false
	case Gone:
		return b.Lost[f] || taken
	}
	return b.Lost[f]
}

// taken says in which families the live generation has a backend that can take a session.
func (im *Image) taken(service uint16, see func(netip.Addr) Sight) (out [2]bool) {
	for _, id := range im.index.backends[im.Services[service].Steer.Live] {
		b := im.Backends[id]
		for _, f := range kernel.Families() {
			out[f] = out[f] || b.takes(f) && see(b.Addrs[f]) == There
		}
	}
	return out
}

// keepSessions leaves a service's sessions with their backends, whether there is somebody or not.
func (im *Image) keepSessions(service uint16) {
	for _, g := range im.index.generations[service] {
		for _, id := range im.index.backends[g] {
			if b := im.Backends[id]; b.Lost != ([2]bool{}) {
				b.Lost = [2]bool{}
				im.Backends[id] = b
			}
		}
	}
}

// takes says whether new sessions of a family are for a backend.
func (b Backend) takes(f kernel.Family) bool {
	return b.couldTake(f) && b.Use == kernel.InPool && !b.Lost[f]
}

// couldTake says so of one that may be sick, full, lost or in its turn.
func (b Backend) couldTake(f kernel.Family) bool {
	return b.Use != kernel.Removed && b.Weight != 0 && b.Addrs[f].IsValid()
}

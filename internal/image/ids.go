package image

import (
	"fmt"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// free ids of each kind.
type free struct{ services, generations, backends, vips, listeners ids }

// freeIn are the ids that an image does not use.
func freeIn(im *Image) free {
	listeners := map[uint16]bool{}
	for _, l := range im.Listeners {
		listeners[l.ID] = true
	}
	return free{
		services:    idsBelow(kernel.MaxServices, "services", im.Services),
		generations: idsBelow(kernel.MaxGenerations, "generations", im.Generations),
		backends:    idsBelow(kernel.MaxBackends, "backends", im.Backends),
		vips:        idsBelow(kernel.MaxVIPs, "pairs of VIP and protocol", im.VIPs),
		listeners:   idsBelow(kernel.MaxListeners, "listeners", listeners),
	}
}

// ids gives out the free ids of one kind, smallest first; they begin at 1.
type ids struct {
	what  string
	limit int
	taken []bool // by id
	next  int
}

func idsBelow[V any](limit int, what string, used map[uint16]V) ids {
	out := ids{what: what, limit: limit, taken: make([]bool, limit), next: 1}
	for id := range used {
		if int(id) < limit {
			out.taken[id] = true
		}
	}
	return out
}

// next takes the smallest free id. When none is left the build fails.
func (b *builder) next(of *ids) uint16 {
	for of.next < of.limit && of.taken[of.next] {
		of.next++
	}
	if of.next >= of.limit {
		b.full = fmt.Errorf("all %d ids of %s are in use, those that drain included: wait for a drain to end", of.limit-1, of.what)
		return 0
	}
	of.next++
	return uint16(of.next - 1)
}

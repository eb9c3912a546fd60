package image

import (
	"slices"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// index finds what belongs to what, without a walk over everything for each of a thousand services.
type index struct {
	services    map[string]uint16   // by name
	generations map[uint16][]uint16 // of a service
	backends    map[uint16][]uint16 // of a generation
}

// reindex makes the index anew. It must follow every change of what is in an image and what belongs to what: clones share
// their index.
func (im *Image) reindex() {
	x := &index{
		services:    make(map[string]uint16, len(im.Services)),
		generations: make(map[uint16][]uint16, len(im.Services)),
		backends:    make(map[uint16][]uint16, len(im.Generations)),
	}
	for service, s := range im.Services {
		x.services[s.Name] = service
	}
	for g, rec := range im.Generations {
		x.generations[rec.Service] = append(x.generations[rec.Service], g)
	}
	for id, b := range im.Backends {
		x.backends[b.Generation] = append(x.backends[b.Generation], id)
	}
	for _, members := range []map[uint16][]uint16{x.generations, x.backends} {
		for _, ids := range members {
			slices.Sort(ids)
		}
	}
	im.index = x
}

// The following add one thing to an image whose index nobody shares.

func (im *Image) addService(at uint16, s Service) {
	im.Services[at] = s
	im.index.services[s.Name] = at
}

func (im *Image) addGeneration(at uint16, g kernel.Generation) {
	im.Generations[at] = g
	im.index.generations[g.Service] = append(im.index.generations[g.Service], at)
}

func (im *Image) addBackend(id uint16, b Backend) {
	im.Backends[id] = b
	im.index.backends[b.Generation] = append(im.index.backends[b.Generation], id)
}

package image

import (
	"maps"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// WithRests is the image in which those backends of a service's pools take no new sessions that rests says, and all others
// do. It is the very same image when nothing has changed; else all but its backends is shared, and nobody changes it.
func (im *Image) WithRests(service uint16, rests func(id uint16) bool) *Image {
	changed := map[uint16]Backend{}
	for _, g := range im.index.generations[service] {
		for _, id := range im.index.backends[g] {
			b := im.Backends[id]
			if b.Use == kernel.Removed {
				continue
			}
			use := kernel.InPool
			if rests(id) {
				use = kernel.Resting
			}
			if b.Use != use {
				b.Use = use
				changed[id] = b
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

package image

import kernel "github.com/ebbtide/ebbtide/maps"

// Collect takes out of an image what a complete sweep found unused: backends that left their pool, VIP ids and closed
// listeners without a flow, then generations without a slot and without backends, then services without anything. The
// sweep must have begun after the image was written: from then on nothing of this can be pinned anew. It says whether
// that took anything away.
func (im *Image) Collect(sweep kernel.Sweep) (*Image, bool) {
	out := im.Clone()
	out.collectBackends(sweep)
	out.collectListeners(sweep)
	for index, s := range out.Services {
		if s.Steer.Live == 0 && len(out.GenerationsOf(index)) == 0 && !out.hasListeners(index) {
			delete(out.Services, index)
		}
	}
	if left, clash := out.replies(); clash == nil {
		out.Replies = left
	}
	return out, out.size() != im.size()
}

func (im *Image) size() int {
	return len(im.Services) + len(im.Generations) + len(im.Backends) + len(im.VIPs) + len(im.Listeners) + len(im.Replies)
}

func (im *Image) collectBackends(sweep kernel.Sweep) {
	for id, b := range im.Backends {
		if sweep.Sessions[id].Total() == 0 && (b.Use == kernel.Removed || im.over(b.Generation)) {
			delete(im.Backends, id)
		}
	}
	for index, g := range im.Generations {
		if g.Colour == kernel.NoColour && im.over(index) && len(im.BackendsOf(index)) == 0 {
			delete(im.Generations, index)
		}
	}
}

// over: out of its slot and proved to be drained, so that it takes nothing any more, orphans included. A record that is
// not there was never written whole.
func (im *Image) over(generation uint16) bool {
	g, there := im.Generations[generation]
	return !there || g.Colour == kernel.NoColour && g.State == kernel.Drained &&
		!im.isLive(generation) && !im.takesOrphans(generation)
}

func (im *Image) isLive(generation uint16) bool {
	return im.Services[im.Generations[generation].Service].Steer.Live == generation
}

func (im *Image) takesOrphans(generation uint16) bool {
	return im.Services[im.Generations[generation].Service].Steer.Previous == generation
}

// collectListeners removes closed listeners that have no flow left, and VIP ids that no listener names. A closed port of
// a listener that is open at others has no count of its own: it goes when its VIP id has no flow left.
func (im *Image) collectListeners(sweep kernel.Sweep) {
	open, shared := map[uint16]bool{}, map[uint16]bool{}
	for _, l := range im.Listeners {
		shared[l.ID] = shared[l.ID] || l.Kind == kernel.Open
	}
	for socket, l := range im.Listeners {
		unused := sweep.VIPs[l.VIP] == 0 || !shared[l.ID] && sweep.Listeners[l.ID] == 0
		if l.Kind == kernel.Closed && unused {
			delete(im.Listeners, socket)
		} else if l.Kind != kernel.Mark {
			open[l.VIP] = true
		}
	}
	for id := range im.VIPs {
		if !open[id] {
			delete(im.VIPs, id)
		}
	}
	for socket, l := range im.Listeners {
		if l.Kind == kernel.Mark && !open[l.VIP] {
			delete(im.Listeners, socket)
		}
	}
	im.nameListeners()
}

func (im *Image) hasListeners(service uint16) bool {
	for _, l := range im.Listeners {
		if l.Service == service && l.Kind != kernel.Mark {
			return true
		}
	}
	return false
}

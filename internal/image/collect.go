package image

import (
	"maps"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// Collect takes out of an image what a complete sweep found unused: backends that left their pool, VIP ids and closed
// listeners without a flow, then generations without a slot and without backends, then services without anything. The
// sweep must have begun after the image was written: from then on nothing of this can be pinned anew. It says whether
// that took anything away.
func (im *Image) Collect(sweep kernel.Sweep) (*Image, bool) {
	out := im.Clone()
	out.collectBackends(sweep)
	out.collectGenerations()
	out.collectListeners(sweep)
	out.collectServices()
	out.reindex()
	if left, clash := out.replies(); clash == nil {
		out.Replies = left
	}
	return out, out.size() != im.size() || !maps.Equal(out.Listeners, im.Listeners)
}

func (im *Image) size() int {
	return len(im.Services) + len(im.Generations) + len(im.Backends) + len(im.VIPs) + len(im.Listeners) + len(im.Replies) + len(im.Testers)
}

func (im *Image) collectBackends(sweep kernel.Sweep) {
	for id, b := range im.Backends {
		if sweep.Sessions[id].Total() == 0 && sweep.Flows[id] == 0 && (b.Use == kernel.Removed || im.over(b.Generation)) {
			delete(im.Backends, id)
		}
	}
}

func (im *Image) collectGenerations() {
	inUse := map[uint16]bool{}
	for _, b := range im.Backends {
		inUse[b.Generation] = true
	}
	for index, g := range im.Generations {
		if g.Colour == kernel.NoColour && im.over(index) && !inUse[index] {
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
// a listener that is open at others has no count of its own: it goes when its VIP id has no flow left. The place of one of
// all ports is then its mark's.
func (im *Image) collectListeners(sweep kernel.Sweep) {
	open, shared := map[uint16]bool{}, map[uint16]bool{}
	for _, l := range im.Listeners {
		shared[l.ID] = shared[l.ID] || l.Kind == kernel.Open
	}
	for socket, l := range im.Listeners {
		unused := sweep.VIPs[l.VIP] == 0 || !shared[l.ID] && sweep.Listeners[l.ID] == 0
		if l.Kind == kernel.Closed && unused && socket.Port == 0 {
			im.Listeners[socket] = kernel.Listener{VIP: l.VIP, Kind: kernel.Mark}
		} else if l.Kind == kernel.Closed && unused {
			delete(im.Listeners, socket)
		} else if l.Kind != kernel.Mark {
			open[l.VIP] = true
		}
	}
	sessions := im.sessionVIPs()
	for id, v := range im.VIPs {
		if !open[id] && !sessions[id] && (v.Protocol != kernel.ProtocolSession || sweep.VIPs[id] == 0) {
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

func (im *Image) collectServices() {
	inUse := map[uint16]bool{}
	for _, g := range im.Generations {
		inUse[g.Service] = true
	}
	for _, l := range im.Listeners {
		if l.Kind != kernel.Mark {
			inUse[l.Service] = true
		}
	}
	for index, s := range im.Services {
		if s.Steer.Live == 0 && !inUse[index] {
			delete(im.Services, index)
		}
	}
	im.dropStrayTesters()
}

// Package image holds what the kernel's configuration maps say, as one value: it is read from the kernel, built anew
// from the configuration file, compared, and written. Only this package writes those maps.
//
// Building is pure, and keeps every id that is in use, so a build from an unchanged file gives the image that is there
// and writing it writes nothing. Whatever still has sessions stays in the image, taking no new ones, until a sweep has
// shown that its last session is gone.
package image

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// Image is the content of the configuration maps.
type Image struct {
	Services    map[uint16]Service // by index
	Generations map[uint16]kernel.Generation
	Backends    map[uint16]Backend // by id
	VIPs        map[uint16]kernel.VIP
	Listeners   map[kernel.Socket]kernel.Listener
	Replies     map[kernel.Socket]kernel.Reply
	Testers     map[kernel.Tester]kernel.TesterOrigin

	index *index
}

// Service is a service's record and steer word.
type Service struct {
	kernel.Service
	Steer kernel.Steer
}

// Backend is one real server over both families: the same id, an address or none in each. In ipip an address is where
// packets of that family are carried to, and may be of the other one.
type Backend struct {
	Addrs [2]netip.Addr
	kernel.Backend
	Lost [2]bool // nobody is there, and its service moves its sessions: it gets no new ones
}

// New is an empty image.
func New() *Image {
	im := &Image{
		Services: map[uint16]Service{}, Generations: map[uint16]kernel.Generation{}, Backends: map[uint16]Backend{},
		VIPs: map[uint16]kernel.VIP{}, Listeners: map[kernel.Socket]kernel.Listener{}, Replies: map[kernel.Socket]kernel.Reply{},
		Testers: map[kernel.Tester]kernel.TesterOrigin{},
	}
	im.reindex()
	return im
}

// Clone copies an image, so that a change of one does not show in the other. What belongs to what must stay.
func (im *Image) Clone() *Image {
	return &Image{
		Services: maps.Clone(im.Services), Generations: maps.Clone(im.Generations), Backends: maps.Clone(im.Backends),
		VIPs: maps.Clone(im.VIPs), Listeners: maps.Clone(im.Listeners), Replies: maps.Clone(im.Replies),
		Testers: maps.Clone(im.Testers),
		index:   im.index,
	}
}

// WithService is the image with another record of a service that it has. All else is shared, and nobody changes it.
func (im *Image) WithService(index uint16, s Service) *Image {
	out := *im
	out.Services = maps.Clone(im.Services)
	out.Services[index] = s
	return &out
}

// WithGeneration is the image with another record of a generation that it has. All else is shared, and nobody changes it.
func (im *Image) WithGeneration(index uint16, g kernel.Generation) *Image {
	out := *im
	out.Generations = maps.Clone(im.Generations)
	out.Generations[index] = g
	return &out
}

// ServiceNamed finds a service by name.
func (im *Image) ServiceNamed(name string) (uint16, bool) {
	at, ok := im.index.services[name]
	return at, ok
}

// GenerationsOf lists the indexes of a service's generations, oldest first.
func (im *Image) GenerationsOf(service uint16) []uint16 {
	out := slices.Clone(im.index.generations[service])
	slices.SortFunc(out, func(a, b uint16) int {
		return cmp.Compare(im.Generations[a].Number, im.Generations[b].Number)
	})
	return out
}

// InColour finds the generation that holds a colour of a service.
func (im *Image) InColour(service uint16, c kernel.Colour) (uint16, bool) {
	for _, g := range im.index.generations[service] {
		if im.Generations[g].Colour == c {
			return g, true
		}
	}
	return 0, false
}

// BackendsOf lists the ids of a generation's backends, in order.
func (im *Image) BackendsOf(generation uint16) []uint16 {
	out := slices.Clone(im.index.backends[generation])
	slices.Sort(out)
	return out
}

// Families says in which families a service has listeners.
func (im *Image) Families(service uint16) (has [2]bool) {
	for s, l := range im.Listeners {
		if l.Service == service && l.Kind == kernel.Open {
			has[family(s.Addr)] = true
		}
	}
	return has
}

// key is a backend's identity within its generation.
func (b Backend) key() backendKey {
	return backendKey{b.Addrs[kernel.IPv4], b.Addrs[kernel.IPv6], b.Port}
}

// Addresses of everything that the filter has to let through: VIPs, and backends of nat services.
func (im *Image) Addresses() []netip.Addr {
	var out []netip.Addr
	for s := range im.Listeners {
		out = append(out, s.Addr)
	}
	for s := range im.Replies {
		out = append(out, s.Addr)
	}
	return out
}

func family(a netip.Addr) kernel.Family {
	if a.Is4() {
		return kernel.IPv4
	}
	return kernel.IPv6
}

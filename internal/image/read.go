package image

import (
	"net/netip"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// Read reads the image out of the kernel.
func Read(t *kernel.Tables) (*Image, error) {
	im := New()
	for index, s := range t.Services() {
		im.Services[index] = Service{Service: s, Steer: t.Steer(index)}
	}
	im.Generations = t.Generations()
	for _, f := range kernel.Families() {
		for id, b := range t.Backends(f) {
			im.joinBackend(f, id, b)
			im.noteLoss(f, id, t.Lost(f, id))
		}
	}
	var err error
	if im.VIPs, err = t.VIPs(); err != nil {
		return nil, err
	}
	if im.Listeners, err = t.Listeners(); err != nil {
		return nil, err
	}
	if im.Replies, err = t.Replies(); err != nil {
		return nil, err
	}
	if im.Testers, err = t.Testers(); err != nil {
		return nil, err
	}
	im.reindex()
	return im, nil
}

// noteLoss takes over what the record of one family says.
func (im *Image) noteLoss(f kernel.Family, id uint16, lost bool) {
	e := im.Backends[id]
	e.Lost[f] = lost
	im.Backends[id] = e
}

// joinBackend adds what one family has of a backend.
func (im *Image) joinBackend(f kernel.Family, id uint16, b kernel.Backend) {
	e, there := im.Backends[id]
	e.Addrs[f] = b.Addr
	b.Addr, b.Outer = netip.Addr{}, 0 // Addrs has them
	switch {
	case !there:
		e.Backend = b
	case e.Backend != b: // a writer was killed between the families
		e.Use = 0 // that of no backend: it is written again
	}
	im.Backends[id] = e
}

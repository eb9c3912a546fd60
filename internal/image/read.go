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
			im.addBackend(f, id, b)
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
	return im, nil
}

func (im *Image) addBackend(f kernel.Family, id uint16, b kernel.Backend) {
	e, there := im.Backends[id]
	e.Addrs[f] = b.Addr
	b.Addr = netip.Addr{} // Addrs has them
	switch {
	case !there:
		e.Backend = b
	case e.Backend != b: // a writer was killed between the families
		e.Timeouts = kernel.Timeouts{} // of no backend: they are written again
	}
	im.Backends[id] = e
}

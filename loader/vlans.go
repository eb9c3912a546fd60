package loader

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/loader/vlan"
	"github.com/ebbtide/ebbtide/maps"
)

// FollowVLANs tells the program of the VLANs on the interfaces that it runs on, which clients may be in, and makes it forget
// those that are gone.
func (p *Plane) FollowVLANs() error {
	links, err := linkList()
	if err != nil {
		return err
	}
	var errs []error
	want, have := vlansOn(links, p.Tables.Ifaces()), p.Tables.VLANs()
	for index := range have {
		if _, stays := want[index]; !stays {
			errs = append(errs, p.Tables.RemoveVLAN(index))
		}
	}
	for index, v := range want {
		if have[index] != v {
			errs = append(errs, p.Tables.SetVLAN(index, v))
		}
	}
	return errors.Join(errs...)
}

// linkList repeats a dump that a change interrupted.
func linkList() (links []netlink.Link, err error) {
	for range 50 {
		if links, err = netlink.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return links, nil
}

// vlansOn are the VLAN interfaces that are up, on one of those that the program runs on.
func vlansOn(links []netlink.Link, attached map[uint32]maps.Iface) map[uint32]maps.VLAN {
	layers, out := map[int]vlan.Layer{}, map[uint32]maps.VLAN{}
	for _, l := range links {
		layers[l.Attrs().Index] = vlan.LayerOf(l)
	}
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagUp == 0 || len(a.HardwareAddr) != 6 {
			continue
		}
		below, tags, ok := vlan.Below(a.Index, func(i int) vlan.Layer { return layers[i] }, func(i int) bool {
			_, runs := attached[uint32(i)]
			return runs
		})
		if ok && tags.Count() > 0 {
			out[uint32(a.Index)] = maps.VLAN{On: uint32(below), Tags: tags, MAC: [6]byte(a.HardwareAddr), MTU: uint32(a.MTU)}
		}
	}
	return out
}

// Package vip puts VIPs on an interface of this host, so that the kernel
// answers ARP and neighbour discovery for them.
//
// What it adds it marks in the kernel, as a routing daemon marks its routes, and
// it removes nothing else; it keeps no record. All functions act in the network
// namespace of the calling thread.
package vip

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Ensure adds each VIP that the interface does not have, as /32 or /128. One
// that it has, in whatever prefix, is left as it is. After an error some may
// have been added; calling again goes on from there.
//
// The kernel takes IPv6 addresses away when an interface goes down: call again
// when it comes up.
func Ensure(ifname string, vips []netip.Addr) error {
	link, err := netlink.LinkByName(ifname)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", ifname, err)
	}
	index := link.Attrs().Index
	have, err := list()
	if err != nil {
		return err
	}
	held := map[netip.Addr]bool{}
	for _, a := range have {
		if a.index == index {
			held[a.addr] = true
		}
	}
	for _, vip := range vips {
		if held[vip] {
			continue
		}
		err := add(ifname, index, vip)
		if err != nil && !errors.Is(err, unix.EEXIST) { // somebody was quicker
			return fmt.Errorf("add %s to %s: %w", vip, ifname, err)
		}
	}
	return nil
}

// Remove takes away those of the VIPs that Ensure added, from whichever
// interface. It tries all and joins the errors.
func Remove(vips []netip.Addr) error {
	gone := set(vips)
	return removeIf(func(a address) bool { return gone[a.addr] })
}

// Keep takes away what Ensure added, but for these VIPs on that interface. It
// tries all and joins the errors.
func Keep(ifname string, vips []netip.Addr) error {
	link, err := netlink.LinkByName(ifname)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", ifname, err)
	}
	index, keep := link.Attrs().Index, set(vips)
	return removeIf(func(a address) bool { return a.index != index || !keep[a.addr] })
}

func set(vips []netip.Addr) map[netip.Addr]bool {
	out := make(map[netip.Addr]bool, len(vips))
	for _, a := range vips {
		out[a] = true
	}
	return out
}

func removeIf(gone func(address) bool) error {
	have, err := list()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range have {
		if !a.ours || !gone(a) {
			continue
		}
		err := remove(a)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("remove %s: %w", a.addr, err))
		}
	}
	return errors.Join(errs...)
}

// Ours returns the addresses that Ensure added and that are still there, in
// order, each once.
func Ours() ([]netip.Addr, error) {
	have, err := list()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range have {
		if a.ours {
			out = append(out, a.addr)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), nil
}

// Holders returns the interface that holds each VIP, whoever put it there. A
// VIP that no interface holds is not in the map; of several the one with the
// lowest index is named.
func Holders(vips []netip.Addr) (map[netip.Addr]string, error) {
	have, err := list()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(have, func(a, b address) int { return cmp.Compare(a.index, b.index) })
	out, wanted, names := make(map[netip.Addr]string), set(vips), make(map[int]string)
	for _, a := range have {
		if _, ok := out[a.addr]; ok || !wanted[a.addr] {
			continue
		}
		if _, known := names[a.index]; !known {
			if names[a.index], err = nameOf(a.index); err != nil {
				return nil, err
			}
		}
		if name := names[a.index]; name != "" {
			out[a.addr] = name
		}
	}
	return out, nil
}

// nameOf an interface is empty when it is gone, and its addresses with it.
func nameOf(index int) (string, error) {
	link, err := netlink.LinkByIndex(index)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find interface %d: %w", index, err)
	}
	return link.Attrs().Name, nil
}

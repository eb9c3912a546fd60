package lab

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoTunnels is returned for a lab of [IPIP] backends, or one with tags, on a kernel that has no such links.
var ErrNoTunnels = errors.New("this kernel has no tunnels, or no VLANs")

// decapsulate gives the backend tunnels from anywhere: of IPv4 in IPv4, and of both families in IPv6.
func (b *Backend) decapsulate() error {
	for _, tunnel := range []netlink.Link{
		&netlink.Iptun{LinkAttrs: named("in4"), Local: b.V4.AsSlice(), Proto: unix.IPPROTO_IPIP},
		&netlink.Ip6tnl{LinkAttrs: named("in6"), Local: b.V6.AsSlice(), Remote: net.IPv6zero},
	} {
		if err := b.addLink(tunnel); err != nil {
			return err
		}
	}
	return nil
}

// addLink makes a link that not every kernel has, and sets it up.
func (ns *NS) addLink(l netlink.Link) error {
	err := ns.handle.LinkAdd(l)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = fmt.Errorf("%w (%w)", ErrNoTunnels, err)
	}
	if err != nil {
		return fmt.Errorf("%s %s in %s: %w", l.Type(), l.Attrs().Name, ns.Name, err)
	}
	return ns.up(l.Attrs().Name)
}

func named(name string) netlink.LinkAttrs {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	return attrs
}

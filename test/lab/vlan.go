package lab

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// TaggedLink is the name of the link on which a namespace hears what comes in by iface with these tags, and only that.
func TaggedLink(iface string, tags []int) string {
	for _, tag := range tags {
		iface += fmt.Sprint(".", tag)
	}
	return iface
}

// tagged makes that link, and those that it stands on. Some may be there already.
func (ns *NS) tagged(iface string, tags []int) (string, error) {
	on := iface
	for i, tag := range tags {
		name := TaggedLink(iface, tags[:i+1])
		parent, err := ns.Index(on)
		if err != nil {
			return "", err
		}
		on = name
		if _, err := ns.handle.LinkByName(name); err == nil {
			continue
		} else if !errors.As(err, new(netlink.LinkNotFoundError)) {
			return "", fmt.Errorf("look for %s in %s: %w", name, ns.Name, err)
		}
		vlan := &netlink.Vlan{LinkAttrs: named(name), VlanId: tag, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}
		vlan.ParentIndex = parent
		if i < len(tags)-1 {
			vlan.VlanProtocol = netlink.VLAN_PROTOCOL_8021AD
		}
		if i > 0 { // one tag is beside the MTU, a second one is not
			vlan.MTU = ethernetMTU - i*tagLength
		}
		if err := ns.addLink(vlan); err != nil {
			return "", err
		}
	}
	return on, nil
}

const (
	ethernetMTU = 1500
	tagLength   = 4
)

// routeTagged sends packets for a VIP to the load balancer with tags. Nobody there answers for the VIP with them, so the
// router is told who has it.
func (l *Lab) routeTagged(vip netip.Addr, tags []int) error {
	iface, err := l.Router.tagged("lan", tags)
	if err != nil {
		return err
	}
	mac, err := l.LB.MAC("eth0")
	if err != nil {
		return err
	}
	if err := l.Router.Route(single(vip), iface, netip.Addr{}); err != nil {
		return err
	}
	return l.Router.onLink("neighbour "+vip.String(), iface, func(link netlink.Link) error {
		return l.Router.handle.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, IP: vip.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT,
		})
	})
}

// joinTagged has the load balancer reach a backend by a link with tags. The backend has its addresses there, too.
func (l *Lab) joinTagged(b *Backend, tags []int) error {
	there, err := b.tagged("eth0", tags)
	if err != nil {
		return err
	}
	here, err := l.LB.tagged(l.LANInterface(), tags)
	if err != nil {
		return err
	}
	for _, addr := range []netip.Addr{b.V4, b.V6} {
		if err := b.AddAddress(there, single(addr)); err != nil {
			return err
		}
		if err := l.LB.Route(single(addr), here, netip.Addr{}); err != nil {
			return err
		}
	}
	return nil
}

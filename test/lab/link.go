package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// queueLength is the transmit queue of every veth: with one, a full receive
// ring of a peer that polls holds the sender back instead of dropping.
const queueLength = 4096

// end names one end of a veth pair.
type end struct {
	ns    *NS
	iface string
}

// connect makes a veth pair, up at both ends, with the offloads that would
// leave checksums to a device turned off.
func connect(a, b end) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = a.iface
	attrs.TxQLen = queueLength
	veth := netlink.NewVeth(attrs)
	veth.PeerName = b.iface
	veth.PeerNamespace = netlink.NsFd(int(b.ns.fd))
	veth.PeerTxQLen = queueLength
	if err := a.ns.handle.LinkAdd(veth); err != nil {
		return fmt.Errorf("veth %s %s: %w", a.ns.Name, b.ns.Name, err)
	}
	for _, e := range []end{a, b} {
		if err := e.ns.offloadsOff(e.iface); err != nil {
			return err
		}
		if err := e.ns.queue(e.iface); err != nil {
			return err
		}
		if err := e.ns.up(e.iface); err != nil {
			return err
		}
	}
	return nil
}

// up sets a link up.
func (ns *NS) up(iface string) error {
	return ns.onLink("up", iface, func(l netlink.Link) error { return ns.handle.LinkSetUp(l) })
}

// queue gives a link a plain FIFO.
func (ns *NS) queue(iface string) error {
	return ns.onLink("queue", iface, func(l netlink.Link) error {
		return ns.handle.QdiscReplace(&netlink.GenericQdisc{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			QdiscType:  "pfifo",
		})
	})
}

// AddAddress puts an address on a link, usable at once.
func (ns *NS) AddAddress(iface string, p netip.Prefix) error {
	return ns.onLink("address "+p.String(), iface, func(l netlink.Link) error {
		return ns.handle.AddrAdd(l, &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD})
	})
}

// replace is [NS.AddAddress] for several, of which some may be there already.
func (ns *NS) replace(iface string, prefixes []netip.Prefix) error {
	return ns.onLink("addresses", iface, func(l netlink.Link) error {
		for _, p := range prefixes {
			if err := ns.handle.AddrReplace(l, &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD}); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
		return nil
	})
}

// DelAddress takes an address off a link.
func (ns *NS) DelAddress(iface string, p netip.Prefix) error {
	return ns.onLink("address "+p.String(), iface, func(l netlink.Link) error {
		return ns.handle.AddrDel(l, &netlink.Addr{IPNet: ipNet(p)})
	})
}

// Route sends dst by way of a link; an invalid via means on-link.
func (ns *NS) Route(dst netip.Prefix, iface string, via netip.Addr) error {
	return ns.onLink("route "+dst.String(), iface, func(l netlink.Link) error {
		r := &netlink.Route{Dst: ipNet(dst), LinkIndex: l.Attrs().Index, Scope: netlink.SCOPE_LINK}
		if via.IsValid() {
			r.Gw, r.Scope = via.AsSlice(), netlink.SCOPE_UNIVERSE
		}
		return ns.handle.RouteReplace(r)
	})
}

// Index is the interface index of a link.
func (ns *NS) Index(iface string) (int, error) {
	var index int
	err := ns.onLink("index", iface, func(l netlink.Link) error {
		index = l.Attrs().Index
		return nil
	})
	return index, err
}

// MAC is the hardware address of a link.
func (ns *NS) MAC(iface string) (net.HardwareAddr, error) {
	var mac net.HardwareAddr
	err := ns.onLink("address", iface, func(l netlink.Link) error {
		mac = l.Attrs().HardwareAddr
		return nil
	})
	return mac, err
}

// SetMAC changes the hardware address of a link.
func (ns *NS) SetMAC(iface string, mac net.HardwareAddr) error {
	return ns.onLink("set address", iface, func(l netlink.Link) error { return ns.handle.LinkSetHardwareAddr(l, mac) })
}

// ForgetNeighbours makes the namespace ask again for its neighbours on a link.
func (ns *NS) ForgetNeighbours(iface string) error {
	return ns.onLink("forget neighbours", iface, func(l netlink.Link) error {
		list, err := ns.handle.NeighList(l.Attrs().Index, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, n := range list {
			if n.State&(unix.NUD_NOARP|unix.NUD_PERMANENT) != 0 {
				continue
			}
			if err := ns.handle.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) { // gone by itself
				return err
			}
		}
		return nil
	})
}

// onLink looks a link up and does something with it.
func (ns *NS) onLink(what, iface string, do func(netlink.Link) error) error {
	l, err := ns.handle.LinkByName(iface)
	if err == nil {
		err = do(l)
	}
	if err != nil {
		return fmt.Errorf("%s on %s in %s: %w", what, iface, ns.Name, err)
	}
	return nil
}

// dropLinks removes every interface but the loopback.
func (ns *NS) dropLinks() error {
	links, err := ns.handle.LinkList()
	if err != nil {
		return fmt.Errorf("list links of %s: %w", ns.Name, err)
	}
	var errs []error
	for _, l := range links {
		if l.Type() != "veth" && l.Type() != "bridge" {
			continue
		}
		if err := ns.handle.LinkDel(l); err != nil {
			errs = append(errs, fmt.Errorf("delete %s in %s: %w", l.Attrs().Name, ns.Name, err))
		}
	}
	return errors.Join(errs...)
}

// ipNet is p in the form that netlink takes.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

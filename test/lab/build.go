package lab

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// bridge is the name of the bridge in the switch namespace.
const bridge = "br0"

// build makes namespaces and wires, from the client inwards.
func (l *Lab) build() error {
	var err error
	if l.pass, err = newPassProgram(l.ID); err != nil {
		return err
	}
	for role, ns := range map[string]**NS{"client": &l.Client, "router": &l.Router, "lb": &l.LB, "switch": &l.Switch} {
		if *ns, err = l.addNS(role); err != nil {
			return err
		}
	}
	steps := []func() error{l.buildSwitch, l.buildRouter, l.buildClient, l.buildLB, l.routeVIPs, l.buildBackends}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// buildSwitch makes the bridge. It floods multicast, so that neighbour
// discovery does not wait for group reports.
func (l *Lab) buildSwitch() error {
	if err := l.Switch.Sysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridge
	snooping := false
	if err := l.Switch.handle.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
		return fmt.Errorf("bridge in %s: %w", l.Switch.Name, err)
	}
	return l.Switch.up(bridge)
}

// plug joins a namespace to the bridge, at a port of the given name.
func (l *Lab) plug(e end, port string) error {
	if err := connect(e, end{l.Switch, port}); err != nil {
		return err
	}
	br, err := l.Switch.handle.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("bridge in %s: %w", l.Switch.Name, err)
	}
	return l.Switch.onLink("join bridge", port, func(p netlink.Link) error {
		return l.Switch.handle.LinkSetMaster(p, br)
	})
}

// buildRouter gives the router its arm on the bridge and lets it forward.
func (l *Lab) buildRouter() error {
	if err := l.Router.forward(); err != nil {
		return err
	}
	if err := l.plug(end{l.Router, "lan"}, "router"); err != nil {
		return err
	}
	return l.Router.address("lan", lanNet.prefixes(routerHost))
}

// buildClient joins the client to the router.
func (l *Lab) buildClient() error {
	if err := connect(end{l.Client, "eth0"}, end{l.Router, "clients"}); err != nil {
		return err
	}
	if err := l.Router.address("clients", clientNet.prefixes(routerHost)); err != nil {
		return err
	}
	if err := l.Client.address("eth0", clientNet.prefixes(clientHost)); err != nil {
		return err
	}
	return l.Client.defaultVia("eth0", clientNet, routerHost)
}

// buildLB gives the load balancer its arms. The far ends of both poll, so
// that they take what XDP sends.
func (l *Lab) buildLB() error {
	if err := l.LB.forward(); err != nil {
		return err
	}
	if l.opts.Arms == TwoArms {
		if err := l.buildFront(); err != nil {
			return err
		}
	}
	arm := l.LANInterface()
	if err := l.plug(end{l.LB, arm}, "lb"); err != nil {
		return err
	}
	if err := l.LB.address(arm, lanNet.prefixes(lbHost)); err != nil {
		return err
	}
	if err := l.poll(end{l.Switch, "lb"}); err != nil {
		return err
	}
	if len(l.opts.Tags) > 0 { // XDP sees the tags that are in the frame, not beside it
		if err := l.Switch.vlanOffloadsOff("lb"); err != nil {
			return err
		}
	}
	return l.LB.defaultVia("eth0", l.frontNet(), routerHost)
}

// buildFront makes the wire between router and load balancer.
func (l *Lab) buildFront() error {
	if err := connect(end{l.LB, "eth0"}, end{l.Router, "front"}); err != nil {
		return err
	}
	if err := l.Router.address("front", frontNet.prefixes(routerHost)); err != nil {
		return err
	}
	if err := l.LB.address("eth0", frontNet.prefixes(lbHost)); err != nil {
		return err
	}
	return l.poll(end{l.Router, "front"})
}

// AddArm gives the load balancer one more interface, with nobody at its other end.
func (l *Lab) AddArm(name string) error {
	return connect(end{l.LB, name}, end{l.Switch, name})
}

// routeVIPs tells the router where the VIPs are.
func (l *Lab) routeVIPs() error {
	iface, front := "lan", l.frontNet()
	if l.opts.Arms == TwoArms {
		iface = "front"
	}
	for _, vip := range l.opts.VIPs {
		if tags := l.opts.Tags[vip]; tags != nil {
			if err := l.routeTagged(vip, tags); err != nil {
				return err
			}
			continue
		}
		var via netip.Addr
		if l.opts.VIPWay == Routed {
			via = front.gateway(single(vip), lbHost)
		}
		if err := l.Router.Route(single(vip), iface, via); err != nil {
			return err
		}
		if l.opts.VIPWay != Held {
			continue
		}
		if err := l.LB.AddAddress("eth0", single(vip)); err != nil {
			return err
		}
	}
	return nil
}

// Interfaces are the load balancer's, the one towards the clients first.
func (l *Lab) Interfaces() []string {
	if l.opts.Arms == TwoArms {
		return []string{"eth0", "eth1"}
	}
	return []string{"eth0"}
}

// LANInterface is the load balancer's interface on the backends' bridge.
func (l *Lab) LANInterface() string { return l.Interfaces()[len(l.Interfaces())-1] }

// LBAddresses are the load balancer's own, towards the clients: v4, v6.
func (l *Lab) LBAddresses() []netip.Addr {
	front := l.frontNet()
	return []netip.Addr{host(front.v4, lbHost), host(front.v6, lbHost)}
}

// frontNet is the subnet that load balancer and router share.
func (l *Lab) frontNet() segment {
	if l.opts.Arms == TwoArms {
		return frontNet
	}
	return lanNet
}

// ForgetNeighbours makes router and backends ask again for everybody, the load balancer too.
func (l *Lab) ForgetNeighbours() error {
	ends := []end{{l.Router, "lan"}}
	if l.opts.Arms == TwoArms {
		ends = append(ends, end{l.Router, "front"})
	}
	for _, b := range l.Backends {
		ends = append(ends, end{b.NS, "eth0"})
	}
	for _, e := range ends {
		if err := e.ns.ForgetNeighbours(e.iface); err != nil {
			return err
		}
	}
	return nil
}

// forward lets the namespace forward both families.
func (ns *NS) forward() error {
	if err := ns.Sysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	return ns.Sysctl("net/ipv6/conf/all/forwarding", "1")
}

// address puts several addresses on a link.
func (ns *NS) address(iface string, prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		if err := ns.AddAddress(iface, p); err != nil {
			return err
		}
	}
	return nil
}

// defaultVia sets both default routes to host n of a segment.
func (ns *NS) defaultVia(iface string, s segment, n int) error {
	for _, dst := range defaults() {
		if err := ns.Route(dst, iface, s.gateway(dst, n)); err != nil {
			return err
		}
	}
	return nil
}

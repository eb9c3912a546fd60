package lab

import (
	"fmt"
	"net/netip"
)

// Backend is one real server of a lab.
type Backend struct {
	*NS
	// Name is as in the options, such as blue1, and Colour its first part.
	Name, Colour string
	// V4 and V6 are its own addresses.
	V4, V6 netip.Addr

	vips []netip.Addr
}

// Address is where a service of this backend listens so that clients of vip
// reach it: the VIP itself in dsr, the backend's own address in nat.
func (b *Backend) Address(vip netip.Addr) netip.Addr {
	for _, v := range b.vips {
		if v == vip {
			return vip
		}
	}
	return b.Own(vip)
}

// Own is the backend's own address in the family of like.
func (b *Backend) Own(like netip.Addr) netip.Addr {
	if like.Is4() {
		return b.V4
	}
	return b.V6
}

// buildBackends makes the backends that the options name.
func (l *Lab) buildBackends() error {
	for _, name := range l.opts.Backends {
		if _, err := l.AddBackend(name); err != nil {
			return err
		}
	}
	return nil
}

// AddBackend joins one more backend to the bridge.
func (l *Lab) AddBackend(name string) (*Backend, error) {
	ns, err := l.addNS(name)
	if err != nil {
		return nil, err
	}
	n := backendHost + len(l.Backends)
	b := &Backend{NS: ns, Name: name, Colour: colour(name), V4: host(lanNet.v4, n), V6: host(lanNet.v6, n)}
	if err := l.plug(end{ns, "eth0"}, name); err != nil {
		return nil, err
	}
	if err := ns.address("eth0", lanNet.prefixes(n)); err != nil {
		return nil, err
	}
	gateway := lbHost
	if l.opts.Forwarding != NAT {
		gateway = routerHost
		b.vips = l.opts.VIPs
		if !l.opts.Bare {
			if err := b.hold(); err != nil {
				return nil, err
			}
		}
	}
	if l.opts.Forwarding == IPIP && !l.opts.Bare {
		if err := b.decapsulate(); err != nil {
			return nil, err
		}
	}
	if tags := l.opts.BackendTags[name]; tags != nil {
		if err := l.joinTagged(b, tags); err != nil {
			return nil, err
		}
	}
	if err := ns.defaultVia("eth0", lanNet, gateway); err != nil {
		return nil, err
	}
	l.Backends = append(l.Backends, b)
	return b, nil
}

// hold puts the VIPs on the loopback, where nobody hears of them: no answer to
// ARP for what is not on the interface asked, no VIP as the source of a query.
// IPv6 does not answer for the loopback's addresses by itself.
func (b *Backend) hold() error {
	for key, value := range map[string]string{"arp_ignore": "1", "arp_announce": "2"} {
		if err := b.Sysctl("net/ipv4/conf/all/"+key, value); err != nil {
			return fmt.Errorf("hold VIPs: %w", err)
		}
	}
	for _, vip := range b.vips {
		if err := b.AddAddress("lo", single(vip)); err != nil {
			return err
		}
	}
	return nil
}

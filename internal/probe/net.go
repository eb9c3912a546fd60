package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Names of links. The first two are on the host, and there as long as a [Net] is.
const (
	Interface       = "ebbprobe"  // where probes come in
	ShadowInterface = "ebbshadow" // where the backends of rehearsals are
	inside          = "eth0"      // the other end of each
	replies         = "replies"   // where backends that answer directly are heard
)

// ShadowNet is what a rehearsal's service has its addresses from: of the network that RFC 2544 keeps for benchmarks, which no
// router takes to or from outside. They are in the namespaces only.
var ShadowNet = netip.MustParsePrefix("198.18.117.0/24")

// Shadow's addresses: a VIP that no interface holds, a backend of each colour, and the players'.
var (
	ShadowVIP   = netip.MustParseAddr("198.18.117.1")
	ShadowBlue  = netip.MustParseAddr("198.18.117.11")
	ShadowGreen = netip.MustParseAddr("198.18.117.12")
	players     = netip.MustParseAddr("198.18.117.100")
)

// ShadowPort is that of the service and its backends, TCP and UDP.
const ShadowPort = 7777

// gateways stand for the host where the namespaces have routes to it: nobody has these addresses.
var gateways = [2]netip.Addr{netip.MustParseAddr("198.18.117.254"), netip.MustParseAddr("fe80::ebb")}

// Options of a Net.
type Options struct {
	Addresses []netip.Addr // of probes, one a family
	Interface string       // where the answers of dsr and ipip backends come in; "": none are heard
}

// Net is the namespaces and their links.
type Net struct {
	Options
	players, servers *space
	shadow           *shadow
}

// Open makes the namespaces, after taking away links that a Net of this host had, should they still be there: the caller
// makes sure that no other one is in use. Close takes everything away, as does the end of the process.
func Open(opt Options) (*Net, error) {
	for _, name := range []string{Interface, ShadowInterface} {
		if err := removeLink(name); err != nil {
			return nil, err
		}
	}
	n := &Net{Options: opt}
	if err := n.build(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("take away the link %s: %w", name, err)
	}
	return nil
}

func (n *Net) build() (err error) {
	if n.players, err = newSpace(); err != nil {
		return err
	}
	if err := n.players.connect(Interface); err != nil {
		return err
	}
	for _, addr := range n.Addresses {
		leg := inside
		if n.Interface != "" {
			leg = replies
		}
		if leg == replies && !n.players.has(replies) {
			if err := n.players.listenOn(n.Interface); err != nil {
				return err
			}
		}
		if err := n.players.address(leg, addr); err != nil {
			return err
		}
	}
	if err := n.players.address(inside, players); err != nil {
		return err
	}
	if err := n.players.throughHost(Interface); err != nil {
		return err
	}
	if n.servers, err = newSpace(); err != nil {
		return err
	}
	if err := n.buildServers(); err != nil {
		return err
	}
	n.shadow, err = newShadow(n)
	return err
}

// buildServers makes the namespace of a rehearsal's backends, which the host finds by routes and neighbours of their own.
func (n *Net) buildServers() error {
	if err := n.servers.connect(ShadowInterface); err != nil {
		return err
	}
	if err := n.servers.throughHost(ShadowInterface); err != nil {
		return err
	}
	host, err := netlink.LinkByName(ShadowInterface)
	if err != nil {
		return fmt.Errorf("find the link %s: %w", ShadowInterface, err)
	}
	mac, err := n.servers.mac(inside)
	if err != nil {
		return err
	}
	for _, addr := range []netip.Addr{ShadowBlue, ShadowGreen} {
		if err := n.servers.address(inside, addr); err != nil {
			return err
		}
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: host.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: single(addr)}); err != nil {
			return fmt.Errorf("route %s by %s: %w", addr, ShadowInterface, err)
		}
		if err := netlink.NeighSet(neighbour(host.Attrs().Index, addr, mac)); err != nil {
			return fmt.Errorf("name the neighbour %s on %s: %w", addr, ShadowInterface, err)
		}
	}
	return nil
}

// Close takes everything away. It returns when the links are gone.
func (n *Net) Close() error {
	if n.shadow != nil {
		n.shadow.close()
	}
	errs := []error{removeLink(Interface), removeLink(ShadowInterface)} // the far ends go with them
	for _, s := range []*space{n.players, n.servers} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

func single(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

func neighbour(link int, addr netip.Addr, mac net.HardwareAddr) *netlink.Neigh {
	family := netlink.FAMILY_V4
	if addr.Is6() {
		family = netlink.FAMILY_V6
	}
	return &netlink.Neigh{LinkIndex: link, Family: family, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac}
}

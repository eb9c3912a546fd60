package lab

import (
	"net/netip"
	"strings"
)

// Forwarding is how backends are set up to be reached.
type Forwarding int

const (
	// DSR backends hold the VIPs on their loopback and answer past the load
	// balancer, by way of the router.
	DSR Forwarding = iota
	// NAT backends hold no VIP and have the load balancer as default route.
	NAT
	// IPIP backends are as those of dsr, and take the outer header off by tunnels of their kernel.
	IPIP
)

// String is the word that the configuration uses.
func (f Forwarding) String() string { return [...]string{"dsr", "nat", "ipip"}[f] }

// Arms is how many interfaces the load balancer has.
type Arms int

const (
	// OneArm: router, load balancer (eth0) and backends share one bridge.
	OneArm Arms = iota
	// TwoArms: the load balancer has the router at eth0 and the backends'
	// bridge at eth1. The router is on that bridge, too, for dsr replies.
	TwoArms
)

// String names the arms as test names do.
func (a Arms) String() string { return [...]string{"one-arm", "two-arms"}[a] }

// VIPWay is how packets for a VIP come to the load balancer.
type VIPWay int

const (
	// OnLink: the router takes the VIPs to be on its link with the load
	// balancer; nobody answers until something there holds them.
	OnLink VIPWay = iota
	// Held is OnLink, and the lab puts the VIPs on the load balancer's eth0.
	Held
	// Routed: the router sends the VIPs to the load balancer's own address.
	Routed
)

// String names the way as test names do.
func (w VIPWay) String() string { return [...]string{"on-link", "held", "routed"}[w] }

// Options chooses a lab's topology. The zero value is a one-armed dsr lab with
// four backends, whose load balancer has yet to take the VIPs.
type Options struct {
	Forwarding Forwarding
	Arms       Arms
	VIPWay     VIPWay
	// VIPs defaults to VIP4 and VIP6.
	VIPs []netip.Addr
	// Backends defaults to blue1, blue2, green1, green2. A backend's colour is
	// its name without the digits.
	Backends []string
	// Bare backends hold no VIP and have no tunnels: what they need is what a test is about.
	Bare bool
	// Tags are the VLANs by which the router sends packets for a VIP to a one-armed load balancer, the outer one first:
	// one tag is 802.1Q's, the outer one of two is 802.1ad's.
	Tags map[netip.Addr][]int
	// BackendTags are the VLANs in which the load balancer reaches a backend, by its name: on links named by [TaggedLink].
	BackendTags map[string][]int
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.VIPs == nil {
		o.VIPs = []netip.Addr{VIP4, VIP6}
	}
	if o.Backends == nil {
		o.Backends = []string{"blue1", "blue2", "green1", "green2"}
	}
	return o
}

// colour is a backend's name without the digits at its end.
func colour(name string) string { return strings.TrimRight(name, "0123456789") }

package nexthop

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
)

// State says what a Hop is good for.
type State uint8

const (
	// Unresolved: packets cannot be sent there now, which may end by itself.
	Unresolved State = iota
	// Resolved: the addresses in the Hop are what the rewrite needs.
	Resolved
	// Failed: the way is refused, until somebody changes routes, addresses
	// or configuration.
	Failed
)

func (s State) String() string {
	switch s {
	case Unresolved:
		return "unresolved"
	case Resolved:
		return "resolved"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Mode says which next hops a backend may have.
type Mode uint8

const (
	// Routed allows a gateway (nat, ipip).
	Routed Mode = iota
	// OnLink refuses one (dsr): the VIP stays in the packet, so a gateway
	// would send the frame back here.
	OnLink
)

// Hop is the way to one backend. Hops are comparable: two that are equal need
// no write to the maps.
type Hop struct {
	State   State
	IfIndex int // of the route's interface
	IfName  string
	Below   int       // index of the interface that frames leave by: another one when the route's is a VLAN on it
	Tags    maps.Tags // that frames carry there
	SrcMAC  [6]byte
	DstMAC  [6]byte    // zero unless Resolved
	Gateway netip.Addr // invalid when the backend is on the link
	MTU     int        // of the route, or else of the interface
	Reason  string     // empty when Resolved
	Silent  bool       // the kernel has asked for it on its link, and nobody answered
	Asking  bool       // it has been asked for, and is neither found nor missed: who knew it before knows no worse
}

func (h Hop) String() string {
	if h.State != Resolved {
		return fmt.Sprintf("%s: %s", h.State, h.Reason)
	}
	if h.Tags.Count() > 0 {
		return fmt.Sprintf("%s dev %s (%s)", net.HardwareAddr(h.DstMAC[:]), h.IfName, h.Tags)
	}
	return fmt.Sprintf("%s dev %s", net.HardwareAddr(h.DstMAC[:]), h.IfName)
}

// Package model is the data plane told once more, in plain Go: from a configuration and the packets that came, what
// becomes of the next one, which pins there are then and what was counted. It shares nothing with the program in C but
// what both have to agree on, the documents: it has no maps, no words of bits, no cursors and no clock. Tests run it
// beside the program and compare.
//
// To extend it: what a packet is goes into frame.go, which way it takes into packet.go, a flow's life into
// lifecycle.go, who serves it into steer.go, where pins lie into table.go, and what is written into the frame into
// rewrite.go.
package model

import "net/netip"

// Protocols.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

// Families index tables that there are two of.
const (
	V4 = iota
	V6
)

// MAC is a hardware address.
type MAC [6]byte

// Socket is an address, port and protocol.
type Socket struct {
	Addr  netip.Addr
	Port  uint16
	Proto uint8
}

// Forwarding is a forwarding mode.
type Forwarding uint8

// Forwarding modes.
const (
	DSR Forwarding = iota
	NAT
	IPIP
)

// Iface is an interface that the program is attached to, or a VLAN on one.
type Iface struct {
	MAC MAC
	MTU int
}

// Tags of a frame as they stand in it, with priority bits of 0: none, four bytes or eight.
type Tags string

// Way is how frames come in and leave.
type Way struct {
	Iface uint32
	Tags  Tags
}

// Listener is what a VIP, port and protocol leads to; at port 0, all ports that have none of their own.
type Listener struct {
	ID, VIP, Service uint16
	Forwarding       Forwarding
	Closed           bool // takes no new flows
}

// VIP is what a VIP id stands for. Listener is its only listener, or 0 when there are several.
type VIP struct {
	Addr     netip.Addr
	Proto    uint8
	Listener uint16
}

// Reply is what a nat backend's socket belongs to. Port 0 keeps the packet's.
type Reply struct {
	VIP   netip.Addr
	Port  uint16
	VIPID uint16
}

// Service is steered as one.
type Service struct {
	Live, Previous uint16 // generations; 0: none
	Candidate      uint16 // that testers and a share of the clients go to; 0: none
	Share          uint64 // in ten-thousandths
	Salt           uint64 // of the hash that shares clients out
	Testers        map[netip.Prefix]bool
	Draining       bool
	Busy, BusyICMP bool  // new sessions are refused, with ICMP in any case
	ReuseAfter     int64 // ticks
	Timeouts       Timeouts
	Affinity       Affinity
	SessionVIP     [2]uint16 // of the clients' sessions, by family; 0: none
	LingerCap      int64     // ticks
	Flipped        int64     // ticks since a generation last began to drain
	ClampMSS       bool
	NewFlows       int64 // of a prefix of clients in a tick; 0: any number
	Burst          int64 // at once
	PrefixBits     [2]int
	HalfOpen       int // flows that may be half-open among the places of one; 0: any number
}

// Timeouts are in ticks.
type Timeouts struct{ TCPHalfOpen, TCP, TCPClosing, UDPNew, UDP, Linger int64 }

// Backend is a real server in one family.
type Backend struct {
	ID                  uint16
	Addr                netip.Addr
	Port                uint16 // nat: 0 keeps the packet's
	Generation, Service uint16
	Forwarding          Forwarding
	Outer               int // ipip: family of Addr
	Resolved            bool
	Lost                bool  // gone, and its sessions move
	Retired             bool  // takes no new sessions
	RetiredFor          int64 // ticks
	Way                 Way
	Src, Dst            MAC
	Room                int // the largest packet that its way takes
}

// Limit is how many answers of a kind may be built a tick, and how many are left of this one.
type Limit struct{ Each, Left uint32 }

// Limits of what is answered here.
type Limits struct{ Echo, TooBig, Reset, Busy Limit }

// Config is all that is set from outside. It may be changed between packets.
type Config struct {
	Ifaces    map[uint32]Iface
	VLANs     map[Way]Iface
	Listeners map[Socket]Listener
	VIPs      map[uint16]VIP
	Replies   map[Socket]Reply
	Services  map[uint16]*Service
	Backends  [2]map[uint16]*Backend
	Maglev    [2]map[uint16][]uint16 // by generation
	Lines     [2]uint32              // of each table
	Overflow  [2]uint32
	Seed      uint64 // of the hash that places flows
	Limits    Limits
	EchoOff   bool
	Sources   [2]netip.Prefix // ipip: of outer headers
}

// NewConfig has nothing in it.
func NewConfig() Config {
	c := Config{
		Ifaces: map[uint32]Iface{}, VLANs: map[Way]Iface{}, Listeners: map[Socket]Listener{}, VIPs: map[uint16]VIP{}, Replies: map[Socket]Reply{},
		Services: map[uint16]*Service{},
	}
	for f := range c.Backends {
		c.Backends[f], c.Maglev[f] = map[uint16]*Backend{}, map[uint16][]uint16{}
	}
	return c
}

// HasListeners says whether a VIP has any of a protocol, open or closed.
func (c *Config) HasListeners(vip netip.Addr, proto uint8) bool {
	for s := range c.Listeners {
		if s.Addr == vip && s.Proto == proto {
			return true
		}
	}
	return false
}

// listener is the one of a port, or else the one of all ports.
func (c *Config) listener(at Socket) (Listener, bool) {
	l, ok := c.Listeners[at]
	if !ok {
		at.Port = 0
		l, ok = c.Listeners[at]
	}
	return l, ok
}

func (c *Config) reply(from Socket) (Reply, bool) {
	r, ok := c.Replies[from]
	if !ok {
		from.Port = 0
		r, ok = c.Replies[from]
	}
	return r, ok
}

func (c *Config) isVIP(a netip.Addr) bool { return c.HasListeners(a, TCP) || c.HasListeners(a, UDP) }

// martian: a source that no packet to a VIP may have.
func martian(source, vip netip.Addr) bool {
	if source.Is4() {
		b := source.As4()
		return b[0] == 0 || b[0] == 127 || b[0] >= 0xe0 || source == vip
	}
	return source.IsUnspecified() || source.IsLoopback() || source.IsMulticast() || source == vip
}

func (l *Limit) take() bool {
	if l.Left == 0 {
		return false
	}
	l.Left--
	return true
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return V4
	}
	return V6
}

// Package explain says where a client's packet goes and why: it goes through the rules of the data plane one by one, over
// the maps that the program reads, and writes nothing. What the program decides by the rest of a packet (its length, its
// TTL, a RST) and by a full flow table is left out.
package explain

import (
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/maps"
)

// Kernel is what the rules read. [maps.Tables] is one.
type Kernel interface {
	Listener(s maps.Socket) (maps.Listener, bool, error)
	Service(index uint16) (maps.Service, bool)
	Steer(service uint16) maps.Steer
	Flipped(service uint16) uint32
	Generation(index uint16) (maps.Generation, bool)
	Backend(f maps.Family, id uint16) (maps.Backend, bool)
	Hop(f maps.Family, id uint16) (maps.Hop, bool)
	Lost(f maps.Family, id uint16) bool
	Retired(f maps.Family, id uint16) uint32
	Find(client netip.AddrPort, port, vip uint16) (maps.Flow, bool, error)
	FirstEnd(session maps.Flow) uint32
	Tester(service uint16, client netip.Addr) (netip.Prefix, bool, error)
	NewFlowsLeft(service uint16, client netip.Addr, now uint32) (uint32, error)
	Maglev(generation uint16, f maps.Family) ([]uint16, error)
}

// Host is what the rules need of the host beside the maps.
type Host struct {
	Now       uint32                      // tick of the data plane's clock
	Tick      time.Duration               // its length
	Interface func(ifindex uint32) string // an interface's name
}

// Packet is what is asked about. A port of 0 stands for any: what it decides is left open.
type Packet struct {
	Client    netip.AddrPort
	To        netip.AddrPort
	Protocol  maps.Protocol
	Midstream bool // TCP, and it does not open a connection
}

// Verdict is what becomes of a packet.
type Verdict string

// The verdicts.
const (
	Forward Verdict = "forward"
	Drop    Verdict = "drop"
	Reset   Verdict = "reset" // its session is being moved, and is told so
	Busy    Verdict = "busy"  // its service takes no new sessions, and it is told so
	Pass    Verdict = "pass"  // to the kernel
)

// Step is one rule that had something to say.
type Step struct {
	Name string
	Says string
}

// Names of steps, in the order in which they come.
const (
	StepListener   = "listener"
	StepSource     = "source"
	StepPin        = "pin"
	StepSession    = "session"
	StepBusy       = "busy"
	StepLimit      = "limit"
	StepOrphan     = "orphan"
	StepTester     = "tester"
	StepShare      = "share"
	StepGeneration = "generation"
	StepSlot       = "slot"
	StepBackend    = "backend"
	StepNextHop    = "next hop"
)

// Route is the way of a packet.
type Route struct {
	Packet
	Steps   []Step
	Verdict Verdict
	Reason  string // why it is dropped or passed, as metrics call it

	Pinned     bool   // by a flow entry
	Service    uint16 // index
	Generation uint16 // index; 0: none
	Backends   []uint16
	Hop        maps.Hop // of the only backend
}

// Backend is the id of the only backend that it can be; 0: none, or it depends on a port.
func (r Route) Backend() uint16 {
	if len(r.Backends) == 1 {
		return r.Backends[0]
	}
	return 0
}

// Explain goes through the rules.
func Explain(k Kernel, host Host, p Packet) (Route, error) {
	w := &walk{k: k, host: host, Route: Route{Packet: p}}
	if p.Client.Addr().Is6() {
		w.family = maps.IPv6
	}
	for _, rule := range rules {
		over, err := rule(w)
		if over || err != nil {
			return w.Route, err
		}
	}
	return w.Route, nil
}

// rules are those of the program, in its order. One that ends the matter reports true.
var rules = []func(*walk) (bool, error){
	(*walk).listener, (*walk).source, (*walk).pin, (*walk).closed, (*walk).session, (*walk).busy, (*walk).limit,
	(*walk).steered, (*walk).hop,
}

// walk is a packet on its way through the rules.
type walk struct {
	Route
	k       Kernel
	host    Host
	family  maps.Family
	to      maps.Listener
	service maps.Service
	preset  uint16 // backend of the client's session, which the flow joins; 0: each flow is a session
	free    bool   // of the limit on new flows: it does not count, or was asked
}

func (w *walk) say(name, says string) { w.Steps = append(w.Steps, Step{name, says}) }

func (w *walk) drop(reason string) (over bool, err error) {
	w.Verdict, w.Reason = Drop, reason
	w.Backends, w.Generation = nil, 0
	return true, nil
}

package maps

import (
	"sync/atomic"

	"github.com/ebbtide/ebbtide/bpf"
)

// Forwarding is a service's forwarding mode.
type Forwarding uint8

const (
	DSR  = Forwarding(bpf.ProgramForwardingFORWARDING_DSR)
	NAT  = Forwarding(bpf.ProgramForwardingFORWARDING_NAT)
	IPIP = Forwarding(bpf.ProgramForwardingFORWARDING_IPIP)
)

// Affinity says whether the flows of one client belong together.
type Affinity = bpf.ProgramAffinity

// The affinities.
const (
	AffinityFlow       = bpf.ProgramAffinityAFFINITY_FLOW        // each flow is a session
	AffinityClient     = bpf.ProgramAffinityAFFINITY_CLIENT      // one session a client, on one backend
	AffinityClientPool = bpf.ProgramAffinityAFFINITY_CLIENT_POOL // one session a client, in one generation
)

// Busy is what whoever begins a session with a busy service is told.
type Busy = bpf.ProgramBusy

// The busy answers.
const (
	BusyReset = bpf.ProgramBusyBUSY_RESET // TCP: a RST; UDP: ICMP "port unreachable"
	BusyICMP  = bpf.ProgramBusyBUSY_ICMP  // ICMP "administratively prohibited"
)

// Steer is what decides where a packet without a pin goes. It is one aligned word: storing it is a flip.
type Steer struct {
	Live      uint16 // generation index; 0: none
	Previous  uint16 // generation index that takes orphans: the one live before, until it is sealed; 0: none
	Candidate uint16 // generation index that testers and the share of clients go to; 0: none
	Share     uint16 // of clients, in ten-thousandths
	Draining  bool   // a generation of the service drains: a SYN that can't be pinned is dropped
	Busy      bool   // new sessions get the service's busy answer, testers' excepted
}

// WholeShare is the share of all clients.
const WholeShare = 10000

// The word's layout is that of bpf/steer.h.
func (s Steer) word() uint64 {
	w := uint64(s.Live) | uint64(s.Previous)<<16 | uint64(s.Candidate)<<32 | uint64(s.Share)<<48
	if s.Busy {
		w |= 1 << 62
	}
	if s.Draining {
		w |= 1 << 63
	}
	return w
}

func steerOf(w uint64) Steer {
	return Steer{
		Live: uint16(w), Previous: uint16(w >> 16), Candidate: uint16(w >> 32), Share: uint16(w>>48) & 0x3fff,
		Busy: w>>62&1 == 1, Draining: w>>63 == 1,
	}
}

// Service is one service as the kernel knows it. ReuseAfter and LingerCap are in ticks.
type Service struct {
	Name       string
	Forwarding Forwarding
	ReuseAfter uint32
	Timeouts   Timeouts
	Affinity   Affinity
	LingerCap  uint32    // after a session's first end, or the flip, in which it may be joined again while its generation drains
	SessionVIP [2]uint16 // VIP ids, by family, under which the sessions of clients are kept; 0: none
	Salt       uint64    // of the hash that shares clients out: the same on every host and for a whole release
	ClampMSS   bool      // lowers the MSS of SYNs to what the backend's way has room for
	NewFlows   NewFlows
	Busy       Busy  // what new sessions are told while the steer word says that the service is busy
	HalfOpen   uint8 // flows that may be half-open among the [FlowPlaces] that one may take; 0: any number
}

// NewFlows bounds how many flows a prefix of clients begins. The zero value bounds nothing.
type NewFlows struct {
	Rate  uint32   // in a tick; 0: any number
	Burst uint32   // at once
	Bits  [2]uint8 // of a client's address that a prefix has, by family: 1 to 32, 1 to 64
}

// FlowPlaces is how many places of the flow table a flow may take before the overflow.
const FlowPlaces = int(bpf.ProgramLimitLINES_MAIN) * int(bpf.ProgramLimitSLOTS_PER_LINE)

// SetSteer stores the steer word of a service in one store. New flows see the old word or the new one; after a barrier
// no packet uses the old one any more.
func (t *Tables) SetSteer(service uint16, s Steer) {
	atomic.StoreUint64(&t.services[service].Steer, s.word())
}

// Steer reads the steer word.
func (t *Tables) Steer(service uint16) Steer {
	return steerOf(atomic.LoadUint64(&t.services[service].Steer))
}

// PutService writes all but the steer word, and marks the index as used last.
func (t *Tables) PutService(index uint16, s Service) {
	e := &t.services[index]
	e.Name = wireName(s.Name)
	e.Forwarding = uint8(s.Forwarding)
	atomic.StoreUint32(&e.ReuseAfter, s.ReuseAfter)
	for i, v := range s.Timeouts {
		atomic.StoreUint32(&e.Timeouts[i], v)
	}
	e.LingerCap, e.SessionVip = s.LingerCap, s.SessionVIP
	atomic.StoreUint64(&e.Salt, s.Salt)
	e.ClampMss = flag(s.ClampMSS)
	e.Busy = uint8(s.Busy)
	e.PrefixBits, e.HalfOpen = s.NewFlows.Bits, s.HalfOpen
	atomic.StoreUint32(&e.NewFlowsBurst, s.NewFlows.Burst)
	atomic.StoreUint32(&e.NewFlows, s.NewFlows.Rate) // last: it needs the rest
	e.Affinity = uint8(s.Affinity)                   // last: its sessions need the rest
	e.Used = 1
}

// SetFlipped notes the tick at which a generation of a service last began to drain, from which the cap on lingering counts.
func (t *Tables) SetFlipped(service uint16, tick uint32) {
	atomic.StoreUint32(&t.services[service].Flipped, tick)
}

// Flipped reads what SetFlipped has written.
func (t *Tables) Flipped(service uint16) uint32 {
	return atomic.LoadUint32(&t.services[service].Flipped)
}

func flag(on bool) uint8 {
	if on {
		return 1
	}
	return 0
}

// RemoveService frees an index. No listener may lead to it, and no flow be pinned to a backend of it.
func (t *Tables) RemoveService(index uint16) error {
	if err := t.deleteLifetimes(pastKey(index)); err != nil {
		return err
	}
	t.SetSteer(index, Steer{})
	t.services[index] = bpf.ProgramService{}
	return nil
}

// Services lists the services in the kernel by index.
func (t *Tables) Services() map[uint16]Service {
	out := map[uint16]Service{}
	for index := range t.services {
		if s, used := t.Service(uint16(index)); used {
			out[uint16(index)] = s
		}
	}
	return out
}

// Service reads one service, and whether there is one of this index.
func (t *Tables) Service(index uint16) (Service, bool) {
	e := &t.services[index]
	if e.Used == 0 {
		return Service{}, false
	}
	return Service{
		Name: hostName(e.Name), Forwarding: Forwarding(e.Forwarding), ReuseAfter: e.ReuseAfter, Timeouts: e.Timeouts,
		Affinity: Affinity(e.Affinity), LingerCap: e.LingerCap, SessionVIP: e.SessionVip, Salt: e.Salt,
		ClampMSS: e.ClampMss != 0, Busy: Busy(e.Busy), HalfOpen: e.HalfOpen,
		NewFlows: NewFlows{Rate: e.NewFlows, Burst: e.NewFlowsBurst, Bits: e.PrefixBits},
	}, true
}

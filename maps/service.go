package maps

import (
	"sync/atomic"

	"github.com/ebbtide/ebbtide/bpf"
)

// Forwarding is a service's forwarding mode.
type Forwarding uint8

const (
	DSR = Forwarding(bpf.ProgramForwardingFORWARDING_DSR)
	NAT = Forwarding(bpf.ProgramForwardingFORWARDING_NAT)
)

// Steer is what decides where a packet without a pin goes. It is one aligned word: storing it is a flip.
type Steer struct {
	Live     uint16 // generation index; 0: none
	Previous uint16 // generation index that takes orphans: the one live before, until it is sealed; 0: none
	Draining bool   // a generation of the service drains: a SYN that can't be pinned is dropped
}

func (s Steer) word() uint64 {
	w := uint64(s.Live) | uint64(s.Previous)<<16
	if s.Draining {
		w |= 1 << 32
	}
	return w
}

func steerOf(w uint64) Steer {
	return Steer{Live: uint16(w), Previous: uint16(w >> 16), Draining: w>>32&1 == 1}
}

// Service is one service as the kernel knows it. ReuseAfter is in ticks.
type Service struct {
	Name       string
	Forwarding Forwarding
	ReuseAfter uint32
}

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
	e.Used = 1
}

// RemoveService frees an index. No listener may lead to it, and no flow be pinned to a backend of it.
func (t *Tables) RemoveService(index uint16) {
	t.SetSteer(index, Steer{})
	t.services[index] = bpf.ProgramService{}
}

// Services lists the services in the kernel by index.
func (t *Tables) Services() map[uint16]Service {
	out := map[uint16]Service{}
	for i := range t.services {
		if e := &t.services[i]; e.Used != 0 {
			out[uint16(i)] = Service{Name: hostName(e.Name), Forwarding: Forwarding(e.Forwarding), ReuseAfter: e.ReuseAfter}
		}
	}
	return out
}

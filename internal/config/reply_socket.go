package config

import (
	"cmp"
	"net/netip"
	"slices"
)

// replySocket is what nat knows a reply by, and the listener that it then
// belongs to.
type replySocket struct {
	addr        netip.Addr
	proto       Protocol
	first, last uint16
	listener    *placedListener
	backend     *placedBackend
	order       int // counts the sockets in the order of the services
}

// checkReplySockets refuses a backend socket whose replies could be those of
// two listeners, or of two backends: also of the two pools of a service, for
// what listens on one socket is of one version.
func (d *decoder) checkReplySockets(services []placedService) {
	var sockets []replySocket
	total := 0
	for i := range services {
		s := &services[i]
		if s.forwarding != NAT {
			continue
		}
		if total += s.countReplySockets(); total > MaxReplySockets {
			s.at.fail("more than %d nat sockets (backend addresses x ports of listeners of their family)", MaxReplySockets)
			return
		}
		sockets = s.replySockets(sockets)
	}
	for i := range sockets {
		sockets[i].order = i
	}
	slices.SortFunc(sockets, func(a, b replySocket) int {
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.proto, b.proto),
			cmp.Compare(a.first, b.first), cmp.Compare(a.order, b.order))
	})
	reportSharedSockets(sockets)
	reportSharedBackends(services, sockets)
}

func (s *placedService) countReplySockets() int {
	n := 0
	for _, p := range s.pools {
		for _, b := range p.backends {
			for _, l := range s.listeners {
				if b.AddrFor(l.VIP).IsValid() {
					n += l.count()
				}
			}
		}
	}
	return n
}

// replySockets appends the sockets of s, each once for a listener, and
// reports backends that share one.
func (s *placedService) replySockets(sockets []replySocket) []replySocket {
	type socket struct {
		listener *placedListener
		addr     netip.Addr
		port     uint16
	}
	first := map[socket]*placedBackend{}
	for b := range s.backends() {
		if b.Port != 0 && !s.hasSinglePorts(b) {
			continue
		}
		for i := range s.listeners {
			r, ok := b.replySocket(&s.listeners[i])
			if !ok {
				continue
			}
			k := socket{r.listener, r.addr, r.first}
			if before := first[k]; before != nil {
				b.duplicate(before, "nat knows a reply by its backend socket")
				break
			}
			first[k] = b
			sockets = append(sockets, r)
		}
	}
	return sockets
}

func (s *placedService) hasSinglePorts(b *placedBackend) bool {
	for _, l := range s.listeners {
		if l.First != l.Last || l.All() {
			b.port.fail("one port can't stand for the range of %s (%s)", l.at.field, l.Listener)
			return false
		}
	}
	return true
}

// replySocket gives where the replies of b to l come from, if l can use b.
func (b *placedBackend) replySocket(l *placedListener) (replySocket, bool) {
	addr := b.AddrFor(l.VIP)
	r := replySocket{addr: addr, proto: l.Protocol, first: l.First, last: l.Last, listener: l, backend: b}
	if b.Port != 0 {
		r.first, r.last = b.Port, b.Port
	}
	return r, addr.IsValid()
}

// reportSharedSockets compares each socket with the one before it in port
// order that reaches furthest. Those of one listener never overlap.
func reportSharedSockets(sockets []replySocket) {
	reported := map[*placedBackend]bool{}
	var reach replySocket
	for i, r := range sockets {
		same := i > 0 && r.addr == reach.addr && r.proto == reach.proto
		if same && r.first <= reach.last {
			early, late := reach, r
			if late.order < early.order {
				early, late = late, early
			}
			if !reported[late.backend] {
				reported[late.backend] = true
				late.shared(early)
			}
		}
		if !same || r.last > reach.last {
			reach = r
		}
	}
}

// ports gives the ports that two sockets share; those of all ports are 0.
func (r replySocket) ports(other replySocket) Listener {
	l := Listener{VIP: r.addr, Protocol: r.proto, First: max(r.first, other.first), Last: max(r.last, other.last)}
	if r.first != 0 && other.first != 0 {
		l.Last = min(r.last, other.last)
	}
	return l
}

// shared reports the later of two sockets.
func (r replySocket) shared(early replySocket) {
	at := r.backend.address
	if r.backend.Port != 0 {
		at = r.backend.port
	}
	ports := r.ports(early)
	at.fail("%s would answer for %s and for %s (%s on line %d): nat knows a reply by its backend socket",
		ports, r.listener.at.field, early.listener.at.field, early.backend.at.field, early.backend.address.line)
}

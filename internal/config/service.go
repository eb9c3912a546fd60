package config

import (
	"cmp"
	"iter"
	"slices"
)

// maxServiceName is the longest name of a service, in bytes.
const maxServiceName = 31

// Service is what players use and what is flipped as one.
type Service struct {
	Name       string
	Listeners  []Listener
	Forwarding Forwarding
	Timeouts   Timeouts
	Pools      map[Colour]Pool
}

// placedService is a service and where the file says so.
type placedService struct {
	name       string
	forwarding Forwarding
	timeouts   Timeouts
	listeners  []placedListener
	pools      []placedPool
	at         value
	sound      bool // all its listeners could be read
}

func (s placedService) service() Service {
	out := Service{Name: s.name, Forwarding: s.forwarding, Timeouts: s.timeouts, Pools: map[Colour]Pool{}}
	for _, l := range s.listeners {
		out.Listeners = append(out.Listeners, l.Listener)
	}
	for _, p := range s.pools {
		out.Pools[p.colour] = p.pool()
	}
	return out
}

func (v value) services() []Service {
	entries, ok := v.named()
	if !ok {
		return nil
	}
	if len(entries) > MaxServices {
		v.fail("%d services are more than %d", len(entries), MaxServices)
		return nil
	}
	var placed []placedService
	for _, e := range entries {
		placed = append(placed, e.service())
		if v.tooMany(placed) {
			return nil
		}
	}
	v.d.check(placed)
	services := make([]Service, len(placed))
	for i, s := range placed {
		services[i] = s.service()
	}
	slices.SortFunc(services, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	return services
}

// tooMany keeps a file of aliases from growing without bound, too.
func (v value) tooMany(services []placedService) bool {
	listeners, ports, backends := 0, 0, 0
	for _, s := range services {
		listeners += len(s.listeners)
		for _, l := range s.listeners {
			ports += l.count()
		}
		for _, p := range s.pools {
			backends += len(p.backends)
		}
	}
	switch {
	case listeners > MaxListeners:
		v.fail("more than %d listeners", MaxListeners)
	case ports > MaxListenerPorts:
		v.fail("the listeners have more than %d ports", MaxListenerPorts)
	case backends > MaxBackends:
		v.fail("more than %d backends", MaxBackends)
	default:
		return false
	}
	return true
}

// backends gives those of both pools, to be changed in place.
func (s *placedService) backends() iter.Seq[*placedBackend] {
	return func(yield func(*placedBackend) bool) {
		for _, p := range s.pools {
			for i := range p.backends {
				if !yield(&p.backends[i]) {
					return
				}
			}
		}
	}
}

func (e entry) service() placedService {
	s := placedService{name: e.name, forwarding: DSR, timeouts: DefaultTimeouts(), at: e.value}
	e.value.remember()
	if !isServiceName(e.name) {
		e.key.fail("a service name is 1 to 31 of a-z, 0-9 and -, and neither begins nor ends with -")
	}
	fields, ok := e.value.mapping("listeners", "forwarding", "timeouts", "pools")
	if !ok {
		return s
	}
	if v, ok := fields.need("listeners"); ok {
		s.listeners, s.sound = v.listeners()
	}
	if v, ok := fields.get("forwarding"); ok {
		v.remember()
		s.forwarding, ok = oneOf(v, DSR, NAT)
		s.sound = s.sound && ok
	}
	if v, ok := fields.get("timeouts"); ok {
		s.timeouts = v.timeouts()
	}
	if v, ok := fields.need("pools"); ok {
		v.remember()
		s.pools = v.pools()
	}
	return s
}

func isServiceName(name string) bool {
	if name == "" || len(name) > maxServiceName || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

package config

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// maxServiceName is the longest name of a service, in bytes.
const maxServiceName = 31

// Service is what players use and what is flipped as one.
type Service struct {
	Name       string
	Listeners  []Listener
	Forwarding Forwarding
	Affinity   Affinity
	Timeouts   Timeouts
	MSS        MSS
	Limits     Limits
	Pools      map[Colour]Pool
	Testers    []netip.Prefix // clients that go to what is staged
	Strategy   Strategy
	Release    Release
	Group      string  // of services that flip together; "": none
	Health     *Health // nil: backends are not asked

	OnBackendLoss BackendLoss
	Occupancy     *Occupancy // nil: backends tell none
}

// placedService is a service and where the file says so.
type placedService struct {
	name       string
	forwarding Forwarding
	affinity   Affinity
	mode       value // where the forwarding stands
	timeouts   Timeouts
	mss        MSS
	limits     Limits
	loss       BackendLoss
	occupancy  *Occupancy
	listeners  []placedListener
	pools      []placedPool
	testers    []placedPrefix
	strategy   Strategy
	health     *Health
	release    Release
	group      string
	at         value
	sound      bool // all its listeners could be read
}

func (s placedService) service() Service {
	out := Service{Name: s.name, Forwarding: s.forwarding, Affinity: s.affinity, Timeouts: s.timeouts, MSS: s.mss, Limits: s.limits, OnBackendLoss: s.loss, Occupancy: s.occupancy, Group: s.group, Pools: map[Colour]Pool{}, Strategy: s.strategy, Release: s.release, Health: s.health}
	for _, l := range s.listeners {
		out.Listeners = append(out.Listeners, l.Listener)
	}
	for _, p := range s.pools {
		out.Pools[p.colour] = p.pool()
	}
	for _, t := range s.testers {
		out.Testers = append(out.Testers, t.Prefix)
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
	var sum totals
	for _, e := range entries {
		s := e.service()
		placed = append(placed, s)
		if sum.add(s); v.tooMany(sum) {
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

// totals over the services read so far.
type totals struct{ listeners, ports, backends, testers int }

func (t *totals) add(s placedService) {
	t.listeners += len(s.listeners)
	t.testers += len(s.testers)
	for _, l := range s.listeners {
		t.ports += l.count()
	}
	for _, p := range s.pools {
		t.backends += len(p.backends)
	}
}

// tooMany keeps a file of aliases from growing without bound, too.
func (v value) tooMany(sum totals) bool {
	switch {
	case sum.listeners > MaxListeners:
		v.fail("more than %d listeners", MaxListeners)
	case sum.ports > MaxListenerPorts:
		v.fail("the listeners have more than %d ports", MaxListenerPorts)
	case sum.backends > MaxBackends:
		v.fail("more than %d backends", MaxBackends)
	case sum.testers > MaxTesters:
		v.fail("more than %d testers", MaxTesters)
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
	s := placedService{name: e.name, forwarding: DSR, affinity: AffinityFlow, timeouts: DefaultTimeouts(), mss: MSSKeep, loss: LossKeep, strategy: Session, release: defaultRelease(Session), at: e.value}
	e.value.remember()
	if !isServiceName(e.name) {
		e.key.fail("a service name is 1 to 31 of a-z, 0-9 and -, and neither begins nor ends with -")
	}
	fields, ok := e.value.mapping("listeners", "forwarding", "affinity", "timeouts", "mss", "limits", "on_backend_loss", "pools", "strategy", "release", "group", "health", "occupancy")
	if !ok {
		return s
	}
	if v, ok := fields.need("listeners"); ok {
		s.listeners, s.sound = v.listeners()
	}
	if v, ok := fields.get("forwarding"); ok {
		v.remember()
		s.mode = v
		s.forwarding, ok = oneOf(v, DSR, NAT, IPIP)
		s.sound = s.sound && ok
	}
	if v, ok := fields.get("affinity"); ok {
		s.affinity, ok = v.affinity()
		s.sound = s.sound && ok
	}
	if v, ok := fields.get("timeouts"); ok {
		s.timeouts = v.timeouts()
	}
	if v, ok := fields.get("mss"); ok {
		s.mss, _ = oneOf(v, MSSKeep, MSSAuto)
	}
	if v, ok := fields.get("limits"); ok {
		s.limits = v.limits()
	}
	if v, ok := fields.get("occupancy"); ok {
		s.occupancy = v.occupancy()
	}
	if v, ok := fields.get("on_backend_loss"); ok {
		s.loss, _ = oneOf(v, LossKeep, LossMove)
	}
	if v, ok := fields.get("health"); ok {
		s.health = v.health()
	}
	if v, ok := fields.get("strategy"); ok {
		s.strategy, _ = oneOf(v, Strategies()...)
		s.release = defaultRelease(s.strategy)
	}
	if v, ok := fields.get("group"); ok {
		s.group = v.group()
	}
	if v, ok := fields.get("release"); ok {
		s.testers, s.release = v.release(s.strategy, s.listeners)
	}
	if v, ok := fields.need("pools"); ok {
		v.remember()
		s.pools = v.pools()
	}
	return s
}

// group is named as services are.
func (v value) group() string {
	name, ok := v.text()
	if ok && !isServiceName(name) {
		v.fail("a group's name is 1 to 31 of a-z, 0-9 and -, and neither begins nor ends with -")
	}
	return name
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

package datapath

import (
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

// change is what an operator, the neighbours or the time does between two packets.
func (s *scene) change() {
	if s.crowded {
		s.establish(maps.IPv4)
		s.establish(maps.IPv6)
	}
	switch s.r.IntN(21) {
	default:
		s.elapse()
	case 0, 1, 2:
		s.steerAnew()
	case 3:
		s.changeListener()
	case 4:
		s.changeBackend()
	case 5:
		s.drawTimes(s.anyService())
	case 6:
		if s.one(8) {
			s.changeMaglev()
		}
	case 7:
		s.changeIface()
	case 8:
		s.ahead()
	case 9:
		s.establish(pickFrom(s.r, maps.IPv4, maps.IPv6))
	case 11:
		s.changeTesters()
	case 12:
		s.changeVLAN(s.r.IntN(len(sceneTags)))
	case 10:
		if s.one(3) {
			s.evict()
		}
	case 13:
		index := s.anyService()
		s.drawAffinity(index)
		s.drawTimes(index)
	}
}

func (s *scene) anyService() uint16 { return uint16(1 + s.r.IntN(len(s.m.Services))) }

// elapse lets ticks pass: every entry was seen so much longer ago.
func (s *scene) elapse() {
	s.tb.Helper()
	ticks := pickFrom[uint32](s.r, 1, 1, 1, 2, 3, 4, 5, 6, 9, 10)
	if s.one(8) {
		ticks = pickFrom[uint32](s.r, 11, 12, 13, 20, 21, 30, 31, 60, 61, 90, 91, 299, 300, 7200, 7201)
	}
	for _, f := range maps.Families() {
		for slot := range s.SlotCount(f) {
			if old := s.Meta(f, slot); old.State() != maps.Free && !s.SwapMeta(f, slot, old, old.WithSeen(old.Seen()-ticks)) {
				s.tb.Fatalf("age slot %d: its word changed", slot)
			}
		}
	}
	s.m.Elapse(int64(ticks))
	s.ageSessions()
	s.ageFragments()
	s.ageBuckets(ticks)
	s.refill()
}

// ageFragments makes what was noted of each datagram as old as the model says. Its tick are 12 bits of the value.
func (s *scene) ageFragments() {
	s.tb.Helper()
	for at, noted := range s.m.Fragments {
		var line [4][2]uint64 // key and value
		s.must(s.maps["fragments"].Lookup(at, &line))
		for i := range line {
			if line[i][0] != 0 {
				line[i][1] = line[i][1]&^0xfff0 | uint64(-noted[i].Where.Age)&0xfff<<4
			}
		}
		s.must(s.maps["fragments"].Put(at, line))
	}
}

// ageBuckets lets ticks pass for the new flows that are left to prefixes of clients. A bucket's tick are 16 bits of it.
func (s *scene) ageBuckets(ticks uint32) {
	s.tb.Helper()
	lines := map[uint32]bool{}
	for _, b := range s.m.Buckets {
		lines[b.Line] = true
	}
	for at := range lines {
		var line [8]uint64
		s.must(s.maps["prefixes"].Lookup(at, &line))
		for i, word := range line {
			if word != 0 {
				line[i] = word&^(0xffff<<24) | (word>>24-uint64(ticks))&0xffff<<24
			}
		}
		s.must(s.maps["prefixes"].Put(at, line))
	}
}

// ahead: another CPU whose clock is ahead has seen a packet of each flow that was seen in this tick.
func (s *scene) ahead() {
	ticks := int64(1 + s.r.IntN(4))
	for _, f := range maps.Families() {
		slots := s.m.Slots(int(f))
		for i := range slots {
			if slots[i].State == "" || slots[i].Silence != 0 {
				continue
			}
			old := s.Meta(f, uint32(i))
			s.SwapMeta(f, uint32(i), old, old.WithSeen(uint32(ticks)))
			slots[i].Silence = -ticks
		}
	}
}

// establish makes every flow of a family established, as time and traffic would: a table full of them is rare otherwise.
func (s *scene) establish(f maps.Family) {
	slots := s.m.Slots(int(f))
	for i := range slots {
		if slots[i].State != "" && slots[i].State != model.Evicting {
			old := s.Meta(f, uint32(i))
			s.SwapMeta(f, uint32(i), old, old&^7|maps.Meta(maps.Established))
			slots[i].State = model.Established
		}
	}
}

// evict marks some flows, as an operator's word does.
func (s *scene) evict() {
	f := pickFrom(s.r, maps.IPv4, maps.IPv6)
	slots := s.m.Slots(int(f))
	for i := range slots {
		e := &slots[i]
		if e.State == "" || e.State == model.Evicting || !s.one(4) {
			continue
		}
		old := s.Meta(f, uint32(i))
		s.SwapMeta(f, uint32(i), old, old&^15|maps.Meta(maps.Evicting))
		e.State, e.Fin = model.Evicting, false
	}
}

// steerAnew flips, seals, unseals or empties a service.
func (s *scene) steerAnew() {
	service := s.anyService()
	now := *s.m.Services[service]
	other := (service-1)*mostGenerations + 1 + uint16(s.r.IntN(mostGenerations))
	switch s.r.IntN(10) {
	default:
		s.m.Services[service].Flipped = 0
		s.SetFlipped(service, 0)
		s.setSteer(service, model.Service{Live: other, Previous: now.Live, Draining: now.Live != 0})
	case 4, 5, 6:
		now.Candidate, now.Share = other, pickFrom[uint64](s.r, 0, 0, 1, 500, 2500, 5000, 9999, 10000)
		s.setSteer(service, now)
	case 0:
		s.setSteer(service, model.Service{Live: now.Live, Draining: true})
	case 1:
		s.setSteer(service, model.Service{Live: now.Live, Previous: other, Draining: true})
	case 2:
		s.setSteer(service, model.Service{Live: now.Live})
	case 3:
		if s.one(6) {
			s.setSteer(service, model.Service{})
		}
	}
}

// changeTesters adds a prefix of clients to those who try the candidate, or takes one back.
func (s *scene) changeTesters() {
	service := s.anyService()
	client := pickFrom(s.r, s.clients...).Addr()
	p := netip.PrefixFrom(client, client.BitLen()-s.r.IntN(4)).Masked()
	testers := s.m.Services[service].Testers
	if testers[p] {
		delete(testers, p)
		s.must(s.RemoveTester(maps.Tester{Service: service, Prefix: p}))
		return
	}
	testers[p] = true
	s.must(s.PutTester(maps.Tester{Service: service, Prefix: p}, maps.FromOperator))
}

// changeListener closes or opens a listener, takes it away, or brings it back.
func (s *scene) changeListener() {
	at := pickFrom(s.r, s.sockets...)
	l, there := s.m.Listeners[at]
	switch {
	case !there:
		s.putListener(at, s.closed[at])
		delete(s.closed, at)
	case s.one(3) && len(s.m.Listeners) > 1:
		s.closed[at] = l
		s.removeListener(at)
	default:
		l.Closed = !l.Closed
		s.putListener(at, l)
	}
}

// changeBackend: its neighbour is gone, has another MAC, or is behind another interface; or it is lost.
func (s *scene) changeBackend() {
	f := pickFrom(s.r, maps.IPv4, maps.IPv6)
	id := pickFrom(s.r, keysOf(s.m.Backends[f], func(a, b uint16) int { return int(a) - int(b) })...)
	switch s.r.IntN(5) {
	case 0:
		s.lose(f, id)
		return
	case 1:
		s.retire(f, id, !s.m.Backends[f][id].Retired)
		return
	}
	s.setHop(f, id, s.drawHop(id))
}

func (s *scene) changeMaglev() {
	f, service := pickFrom(s.r, maps.IPv4, maps.IPv6), s.anyService()
	generation := (service-1)*mostGenerations + 1 + uint16(s.r.IntN(mostGenerations))
	s.m.Maglev[f][generation] = s.drawMaglev(f, generation)
	s.must(s.PutMaglev(generation, f, s.m.Maglev[f][generation]))
}

// changeIface gives the interface another MAC, or takes it away for a while: its MAC is none then.
func (s *scene) changeIface() {
	if _, there := s.m.Ifaces[inside]; there && s.one(4) {
		s.RemoveIface(inside)
		delete(s.m.Ifaces, inside)
		return
	}
	mac := model.MAC(hostMAC)
	mac[5] = byte(1 + s.r.IntN(4))
	s.setIface(model.Iface{MAC: mac, MTU: pickFrom(s.r, 65535, 1280, 600)})
}

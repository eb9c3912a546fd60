package datapath

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

// Bounds of a random world.
const (
	mostServices    = 4
	mostGenerations = 3 // of a service, one after the other
	sceneIndexes    = 1 + mostServices*mostGenerations
)

// scene is a random world, in the program's maps and in the model alike. All that is random in it comes from r.
type scene struct {
	*plane
	tb      testing.TB
	r       *rand.Rand
	m       *model.Model
	last    model.Result
	sockets []model.Socket // of every listener that there was
	closed  map[model.Socket]model.Listener
	clients []netip.AddrPort // IPv4 and IPv6 in turn
	crowded bool             // flows get established sooner than they end
	calm    int              // one TCP packet in so many is other than a plain ACK
	fresh   int              // one packet of a client in so many is of any flow, the others of one that is there
}

// allSizes of the tables that scenes are played on: one in which each flow competes with each, one in which few do, and one
// with room.
var allSizes = []options{{flows: 1, seed: 7}, {flows: 8}, {flows: 60, seed: 1 << 40}}

// mustScene draws a world.
func mustScene(tb testing.TB, p *plane, o options, r *rand.Rand) *scene {
	tb.Helper()
	mustReset(tb, p)
	c := model.NewConfig()
	c.Seed = o.seed
	for f, l := range p.layouts {
		c.Lines[f], c.Overflow[f] = l.Lines, l.Stash
	}
	s := &scene{plane: p, tb: tb, r: r, m: model.New(c), closed: map[model.Socket]model.Listener{}}
	s.crowded = s.one(4)
	s.calm, s.fresh = pickFrom(r, 1, 1, 4, 15, 40), pickFrom(r, 2, 8, 20, 30)
	s.setIface(model.Iface{MAC: model.MAC(hostMAC), MTU: pickFrom(r, 65535, 1280, 600)})
	s.drawSettings()
	for i := range sceneTags {
		s.changeVLAN(i)
	}
	for service := uint16(1); service <= uint16(1+r.IntN(mostServices)); service++ {
		s.drawService(service)
	}
	s.drawListeners()
	for _, f := range maps.Families() {
		for generation := range uint16(sceneIndexes) {
			s.drawGeneration(f, generation)
		}
	}
	s.putMaglevs()
	s.putReplies()
	s.drawClients()
	return s
}

func (s *scene) must(err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatal(err)
	}
}

func (s *scene) one(in int) bool { return s.r.IntN(in) == 0 }

func pickFrom[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// keysOf are a map's keys in their order, so that a seed means the same each time.
func keysOf[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func (s *scene) setIface(i model.Iface) {
	s.must(s.SetIface(inside, maps.Iface{MAC: i.MAC, MTU: uint32(i.MTU)}))
	s.m.Ifaces[inside] = i
}

// drawSettings are those of the host.
func (s *scene) drawSettings() {
	l := &s.m.Limits
	for kind, limit := range map[maps.Limited]*model.Limit{
		maps.LimitedEcho: &l.Echo, maps.LimitedTooBig: &l.TooBig, maps.LimitedReset: &l.Reset, maps.LimitedBusy: &l.Busy,
	} {
		limit.Each = 5 // of all the same: the order of a map is nobody's
		s.SetLimit(kind, limit.Each)
	}
	s.m.EchoOff = s.one(10)
	s.SetEcho(!s.m.EchoOff)
	s.m.Sources = [2]netip.Prefix{
		pickFrom(s.r, netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("100.64.7.8/32"), netip.MustParsePrefix("10.0.0.0/24")),
		pickFrom(s.r, netip.MustParsePrefix("fd00:64::/32"), netip.MustParsePrefix("fd00:64::/96"), netip.MustParsePrefix("fd00:64::1/128")),
	}
	for _, p := range s.m.Sources {
		s.SetOuterSource(p)
	}
	s.refill()
}

// refill begins a tick in which nothing was answered yet. What the program keeps from packet to packet is filled with what
// no packet leaves there, so that none relies on it.
func (s *scene) refill() {
	value := make([][]byte, ebpf.MustPossibleCPU())
	for cpu := range value {
		value[cpu] = bytes.Repeat([]byte{0xff}, (int(s.maps["work"].ValueSize())+7)/8*8)
	}
	s.must(s.maps["work"].Put(uint32(0), value))
	l := &s.m.Limits
	l.Echo.Left, l.TooBig.Left, l.Reset.Left, l.Busy.Left = l.Echo.Each, l.TooBig.Each, l.Reset.Each, l.Busy.Each
}

// drawService: at first its oldest generation is live, and nothing drains.
func (s *scene) drawService(index uint16) {
	s.m.Services[index] = &model.Service{Live: (index-1)*mostGenerations + 1, Salt: s.r.Uint64(), Testers: map[netip.Prefix]bool{}}
	for f := range s.m.Services[index].SessionVIP {
		id := 40 + 2*index + uint16(f)
		s.m.VIPs[id] = model.VIP{Addr: unspecified[f], Proto: model.Session}
		s.must(s.PutVIP(id, maps.VIP{Addr: unspecified[f], Protocol: maps.ProtocolSession}))
		s.m.Services[index].SessionVIP[f] = id
	}
	s.drawAffinity(index)
	s.drawTimes(index)
	s.setSteer(index, *s.m.Services[index])
}

// modeOf: a service of each mode in turn.
func modeOf(service uint16) model.Forwarding { return model.Forwarding(service % 3) }

var unspecified = [2]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}

func (s *scene) drawAffinity(index uint16) {
	s.m.Services[index].Affinity = pickFrom(s.r, model.PerFlow, model.PerClient, model.PerClient, model.PerPool)
}

// drawTimes sets a service's timeouts.
func (s *scene) drawTimes(index uint16) {
	e := s.m.Services[index]
	e.ReuseAfter = pickFrom[int64](s.r, 0, 5, 20, 300)
	e.Timeouts = model.Timeouts{
		TCPHalfOpen: pickFrom[int64](s.r, 0, 5, 30), TCP: pickFrom[int64](s.r, 20, 90, 7200), TCPClosing: pickFrom[int64](s.r, 1, 10, 60),
		UDPNew: pickFrom[int64](s.r, 2, 10), UDP: pickFrom[int64](s.r, 12, 90), Linger: pickFrom[int64](s.r, 3, 15, 60),
	}
	e.LingerCap = pickFrom[int64](s.r, 3, 20, 100)
	e.NewFlows, e.Burst = pickFrom[int64](s.r, 0, 0, 0, 1, 4), pickFrom[int64](s.r, 1, 10, 50)
	e.PrefixBits = [2]int{pickFrom(s.r, 32, 31, 24, 8), pickFrom(s.r, 64, 48, 1)}
	e.HalfOpen = pickFrom(s.r, 0, 0, 1, 3, 12)
	e.BusyICMP = s.one(2)
	busy := maps.BusyReset
	if e.BusyICMP {
		busy = maps.BusyICMP
	}
	s.PutService(index, maps.Service{
		Name: "service", Forwarding: maps.Forwarding(modeOf(index)), ReuseAfter: uint32(e.ReuseAfter), Timeouts: timeoutsOf(e.Timeouts),
		Salt: e.Salt, Affinity: maps.Affinity(e.Affinity), LingerCap: uint32(e.LingerCap), SessionVIP: e.SessionVIP,
		HalfOpen: uint8(e.HalfOpen), Busy: busy,
		NewFlows: maps.NewFlows{Rate: uint32(e.NewFlows), Burst: uint32(e.Burst), Bits: [2]uint8{uint8(e.PrefixBits[0]), uint8(e.PrefixBits[1])}},
	})
	e.ClampMSS = s.one(2)
	var raw bpf.ProgramService
	s.must(s.maps["services"].Lookup(uint32(index), &raw))
	raw.ClampMss = 0
	if e.ClampMSS {
		raw.ClampMss = 1
	}
	s.must(s.maps["services"].Put(uint32(index), raw))
}
func timeoutsOf(t model.Timeouts) (out maps.Timeouts) {
	out[maps.TCPHalfOpen], out[maps.TCP], out[maps.TCPClosing] = uint32(t.TCPHalfOpen), uint32(t.TCP), uint32(t.TCPClosing)
	out[maps.UDPNew], out[maps.UDP], out[maps.Linger] = uint32(t.UDPNew), uint32(t.UDP), uint32(t.Linger)
	return out
}

func (s *scene) setSteer(service uint16, to model.Service) {
	e := s.m.Services[service]
	e.Live, e.Previous, e.Draining, e.Candidate, e.Share = to.Live, to.Previous, to.Draining, to.Candidate, to.Share
	e.Busy = s.one(8)
	s.SetSteer(service, maps.Steer{Live: to.Live, Previous: to.Previous, Draining: to.Draining, Candidate: to.Candidate, Share: uint16(to.Share), Busy: e.Busy})
}

// vipsOf a family; the last is not ours.
func vipsOf(f maps.Family) []netip.Addr {
	return []netip.Addr{gameVIP[f], otherVIP[f], shopVIP[f], somewhere[f]}
}

// scenePorts: 0 stands for all that are not named.
var scenePorts = []uint16{1, 80, 7777, 7778, 65535, 0}

// drawListeners puts each VIP, protocol and port to some service or to none: a VIP may be of several.
func (s *scene) drawListeners() {
	for _, f := range maps.Families() {
		for _, vip := range vipsOf(f)[:3] {
			for _, proto := range []uint8{tcp, udp} {
				for _, port := range scenePorts {
					if s.one(2) && (port != 0 || s.one(3)) {
						service := uint16(1 + s.r.IntN(len(s.m.Services)))
						s.putListener(model.Socket{Addr: vip, Port: port, Proto: proto},
							model.Listener{ID: uint16(1 + len(s.sockets)%60), VIP: vipID(vip, proto), Service: service, Forwarding: modeOf(service)})
					}
				}
			}
		}
	}
	if len(s.sockets) == 0 {
		s.putListener(model.Socket{Addr: gameVIP[0], Port: gamePort, Proto: tcp}, model.Listener{ID: 1, VIP: vipID(gameVIP[0], tcp), Service: 1, Forwarding: modeOf(1)})
	}
	s.setFilter()
}

func (s *scene) putListener(at model.Socket, l model.Listener) {
	if !slices.Contains(s.sockets, at) {
		s.sockets = append(s.sockets, at)
	}
	s.m.Listeners[at] = l
	entry := maps.Listener{VIP: l.VIP, Service: l.Service, ID: l.ID, Forwarding: maps.Forwarding(l.Forwarding)}
	if l.Closed {
		entry.Kind = maps.Closed
	}
	s.must(s.PutListener(socketOf(at), entry))
	s.mark(at, entry)
	s.noteVIP(at, l.VIP)
}

func (s *scene) removeListener(at model.Socket) {
	l := s.m.Listeners[at]
	delete(s.m.Listeners, at)
	s.must(s.RemoveListener(socketOf(at)))
	s.mark(at, maps.Listener{VIP: l.VIP})
	s.noteVIP(at, l.VIP)
}

// mark says that a VIP and protocol have listeners, where no listener of all ports says it.
func (s *scene) mark(at model.Socket, as maps.Listener) {
	at.Port = 0
	if _, all := s.m.Listeners[at]; all {
		return
	}
	as.Kind, as.ID = maps.Mark, 0
	if s.m.HasListeners(at.Addr, at.Proto) {
		s.must(s.PutListener(socketOf(at), as))
	} else {
		s.must(s.RemoveListener(socketOf(at)))
	}
}

func socketOf(s model.Socket) maps.Socket {
	return maps.Socket{Addr: s.Addr, Port: s.Port, Protocol: maps.Protocol(s.Proto)}
}

// noteVIP says of a VIP which listener is its only one.
func (s *scene) noteVIP(at model.Socket, id uint16) {
	v := model.VIP{Addr: at.Addr, Proto: at.Proto}
	n := 0
	for other, l := range s.m.Listeners {
		if other.Addr == at.Addr && other.Proto == at.Proto {
			v.Listener = l.ID
			n++
		}
	}
	if n != 1 {
		v.Listener = 0
	}
	s.m.VIPs[id] = v
	s.must(s.PutVIP(id, maps.VIP{Addr: v.Addr, Protocol: maps.Protocol(v.Proto), Listener: v.Listener}))
}

// drawGeneration gives a generation backends and a Maglev table, or neither.
func (s *scene) drawGeneration(f maps.Family, generation uint16) {
	service := (generation + mostGenerations - 1) / mostGenerations
	if generation == 0 || s.m.Services[service] == nil {
		return
	}
	for i := range uint16(1 + s.r.IntN(3)) {
		id := 10*generation + i + 1
		addr := backendAddr(f, id)
		if s.one(8) && generation > 1 {
			addr = backendAddr(f, 11) // back again, under another id
		}
		port := uint16(0)
		if modeOf(service) == model.NAT {
			port = pickFrom[uint16](s.r, 0, shopInner)
		}
		outer := f
		if modeOf(service) == model.IPIP {
			outer = pickFrom(s.r, maps.IPv4, maps.IPv6)
			addr = backendAddr(outer, id)
		}
		s.m.Backends[f][id] = &model.Backend{
			ID: id, Addr: addr, Port: port, Generation: generation, Service: service, Forwarding: modeOf(service), Outer: int(outer),
		}
		s.PutBackend(f, id, maps.Backend{
			Addr: addr, Port: port, Generation: generation, Service: service, Forwarding: maps.Forwarding(modeOf(service)),
			Use: maps.InPool, Outer: outer,
		})
		s.setHop(f, id, s.drawHop(id))
	}
	s.m.Maglev[f][generation] = s.drawMaglev(f, generation)
}

// drawMaglev: no table, or any one of the generation's backends.
func (s *scene) drawMaglev(f maps.Family, generation uint16) []uint16 {
	if s.one(16) {
		return nil
	}
	var ids []uint16
	for id, b := range s.m.Backends[f] {
		if b.Generation == generation {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	table := make([]uint16, 1+s.r.IntN(13))
	for i := range table {
		table[i] = pickFrom(s.r, ids...)
	}
	return table
}

// putMaglevs sets all tables, by one call: each waits for a grace period.
func (s *scene) putMaglevs() {
	s.tb.Helper()
	var slots, inner []uint32
	for generation := range uint16(sceneIndexes) {
		for _, f := range maps.Families() {
			table := s.mustMaglevMap(s.m.Maglev[f][generation])
			defer table.Close()
			slots, inner = append(slots, 2*uint32(generation)+uint32(f)), append(inner, uint32(table.FD()))
		}
	}
	_, err := s.maps["maglev"].BatchUpdate(slots, inner, nil)
	s.must(err)
}

// mustMaglevMap is an inner map of maglev. Of an empty table it has the one id that is never valid.
func (s *scene) mustMaglevMap(ids []uint16) *ebpf.Map {
	s.tb.Helper()
	if len(ids) == 0 {
		ids = []uint16{0}
	}
	words := make([]ebpf.MapKV, 1+(len(ids)+3)/4)
	words[0] = ebpf.MapKV{Key: uint32(0), Value: uint64(len(ids))}
	for i := 1; i < len(words); i++ {
		var four uint64
		for j, id := range ids[4*(i-1) : min(4*i, len(ids))] {
			four |= uint64(id) << (16 * j)
		}
		words[i] = ebpf.MapKV{Key: uint32(i), Value: four}
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: uint32(len(words)), Flags: unix.BPF_F_INNER_MAP, Contents: words,
	})
	s.must(err)
	return m
}

func (s *scene) drawHop(id uint16) maps.Hop {
	if s.one(12) {
		return maps.Hop{}
	}
	dst := backendMAC(id)
	dst[3] = byte(s.r.IntN(256))
	return maps.Hop{
		IfIndex: pickFrom[uint32](s.r, inside, inside, beside), SrcMAC: hostMAC, DstMAC: dst,
		Tags: pickFrom(s.r, maps.Tags{}, maps.Tags{}, pickFrom(s.r, sceneTags...)),
		Room: pickFrom[uint16](s.r, 0, 1500, 1480, 1280, 576, 60),
	}
}

func (s *scene) setHop(f maps.Family, id uint16, h maps.Hop) {
	b := s.m.Backends[f][id]
	b.Resolved, b.Lost = h != maps.Hop{}, false
	if b.Resolved {
		b.Way = model.Way{Iface: h.IfIndex, Tags: modelTags(h.Tags)}
		b.Src, b.Dst, b.Room = h.SrcMAC, h.DstMAC, roomOf(h)
	}
	s.SetHop(f, id, h)
}

// lose takes a backend away whose service moves its sessions.
func (s *scene) lose(f maps.Family, id uint16) {
	s.setHop(f, id, maps.Hop{})
	s.m.Backends[f][id].Lost = true
	var raw bpf.ProgramBackend
	m := s.maps[[2]string{"backends4", "backends6"}[f]]
	s.must(m.Lookup(uint32(id), &raw))
	raw.State = uint16(bpf.ProgramBackendStateBACKEND_LOST)
	s.must(m.Put(uint32(id), raw))
}

// putReplies says of each socket of a nat backend whose replies come from it: the first listener's that asks.
func (s *scene) putReplies() {
	for _, f := range maps.Families() {
		for _, id := range keysOf(s.m.Backends[f], func(a, b uint16) int { return int(a) - int(b) }) {
			for _, at := range s.sockets {
				s.putReply(f, s.m.Backends[f][id], at)
			}
		}
	}
	s.setFilter()
}

func (s *scene) putReply(f maps.Family, b *model.Backend, at model.Socket) {
	l := s.m.Listeners[at]
	if modeOf(b.Service) != model.NAT || l.Service != b.Service || at.Addr.Is4() != (f == maps.IPv4) {
		return
	}
	from := model.Socket{Addr: b.Addr, Port: b.Port, Proto: at.Proto}
	if from.Port == 0 {
		from.Port = at.Port
	}
	if _, taken := s.m.Replies[from]; taken {
		return
	}
	s.m.Replies[from] = model.Reply{VIP: at.Addr, Port: at.Port, VIPID: l.VIP}
	s.must(s.PutReply(socketOf(from), maps.Reply{VIP: at.Addr, Port: at.Port, VIPID: l.VIP}))
}

func (s *scene) setFilter() {
	var addrs []netip.Addr
	for _, at := range s.sockets {
		addrs = append(addrs, at.Addr)
	}
	for from := range s.m.Replies {
		addrs = append(addrs, from.Addr)
	}
	s.SetFilter(addrs)
}

// drawClients: few, so that they meet, but more than a tiny table holds.
func (s *scene) drawClients() {
	for range 2 + s.r.IntN(40) {
		for _, base := range []netip.Addr{client4, client6} {
			b := base.AsSlice()
			b[len(b)-1] = byte(1 + s.r.IntN(4))
			addr, _ := netip.AddrFromSlice(b)
			s.clients = append(s.clients, netip.AddrPortFrom(addr, pickFrom[uint16](s.r, 1, 1024, 40000, 40001, 65535)))
		}
	}
}

package main

import (
	"encoding/binary"
	"net/netip"

	"github.com/ebbtide/ebbtide/maps"
)

const (
	loopback   = 1 // the interface of BPF_PROG_TEST_RUN
	gamePort   = 7777
	shopPort   = 80
	shopInner  = 8080
	backends   = 16 // of a service
	reuseAfter = 300
)

// service is one of those that the rows are about: an index that is that of its generation too, a VIP id for TCP, and the
// id of its first backend.
type service struct {
	index      uint16
	vip        uint16
	first      uint16
	forwarding maps.Forwarding
	addr       netip.Addr
	port       uint16
	inner      uint16 // port of the backends; 0: the listener's
}

var (
	game  = service{1, 1, 1, maps.DSR, netip.MustParseAddr("203.0.113.10"), gamePort, 0}
	shop  = service{2, 2, 1 + backends, maps.NAT, netip.MustParseAddr("203.0.113.20"), shopPort, shopInner}
	relay = service{3, 3, 1 + 2*backends, maps.IPIP, netip.MustParseAddr("203.0.113.30"), gamePort, 0}
	guild = service{4, 4, 1 + 3*backends, maps.DSR, netip.MustParseAddr("203.0.113.40"), gamePort, 0} // affinity client
	fair  = service{5, 5, 1 + 4*backends, maps.DSR, netip.MustParseAddr("203.0.113.50"), gamePort, 0} // a candidate, with share and testers

	game6  = service{1, 8, 1, maps.DSR, netip.MustParseAddr("2001:db8::10"), gamePort, 0}
	relay6 = service{3, 9, 1 + 2*backends, maps.IPIP, netip.MustParseAddr("2001:db8::30"), gamePort, 0}
)

const (
	gameUDP      = 6 // VIP ids of datagrams
	relayUDP     = 7
	guildSession = 10 // VIP id of the guild's sessions
	candidate    = 6  // the fair's other generation
	fairShare    = maps.WholeShare / 10
	fairTesters  = 1000
)

// The crowd are services that no row is about, and that must not cost anything: as many as asked for.
const (
	crowdIndex     = 7 // of the first service, and of its generation
	crowdVIPs      = 100
	crowdBackend   = 200
	crowdBackends  = 65 // of each service
	crowdPort      = 7000
	crowdListeners = 10 // of each service, all at one VIP: LISTENERS_PER_VIP
)

var (
	hostMAC   = mac{2, 0, 0, 0, 0, 0x01}
	routerMAC = mac{2, 0, 0, 0, 0, 0xaa}
	outer     = netip.MustParsePrefix("10.250.0.0/16")
	outer6    = netip.MustParsePrefix("2001:db8:250::/96")
	stranger  = netip.MustParseAddr("203.0.113.99") // an address that is not ours
	client    = netip.MustParseAddrPort("198.51.100.7:40000")
	client6   = netip.MustParseAddrPort("[2001:db8:c::7]:40000")
)

var timeouts = maps.Timeouts{
	maps.TCPHalfOpen: 3600, maps.TCP: 7200, maps.TCPClosing: 60, maps.UDPNew: 10, maps.UDP: 90, maps.Linger: 60,
}

func backendMAC(id uint16) mac { return mac{2, 0, 0, 0x0b, byte(id >> 8), byte(id)} }

func backendAddr(f maps.Family, id uint16) netip.Addr {
	if f == maps.IPv4 {
		return netip.AddrFrom4([4]byte{172, 16, byte(id >> 8), byte(id)})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 14: byte(id >> 8), 15: byte(id)})
}

// crowdVIP is the VIP of a service of the crowd.
func crowdVIP(i int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 198<<24|18<<16|uint32(i))
	return netip.AddrFrom4(a)
}

// Frames as they are handed to the runner.
var (
	gamePacket    = packetTo(game, ack)
	gameSYN       = packetTo(game, syn)
	relaySYN      = packetTo(relay, syn)
	fairSYN       = packetTo(fair, syn)
	guildSYN      = packetTo(guild, syn)
	shopPacket    = packetTo(shop, ack)
	relayPacket   = packetTo(relay, ack)
	guildPacket   = packetTo(guild, ack)
	fairPacket    = packetTo(fair, ack)
	gameDatagram  = datagram(gamePacket)
	relayDatagram = datagram(relayPacket)
	gamePacket6   = segment6(hostMAC, routerMAC, client6, netip.AddrPortFrom(game6.addr, gamePort), ack)
	relayPacket6  = segment6(hostMAC, routerMAC, client6, netip.AddrPortFrom(relay6.addr, gamePort), ack)
	foreign       = segment(hostMAC, routerMAC, client, netip.AddrPortFrom(stranger, shopPort), ack)
	crowdPacket   = segment(hostMAC, routerMAC, client, netip.AddrPortFrom(crowdVIP(0), crowdPort), ack)
)

func packetTo(s service, flags byte) []byte {
	return segment(hostMAC, routerMAC, client, netip.AddrPortFrom(s.addr, s.port), flags)
}

// shopReply is what a backend of the shop answers.
func shopReply(backend uint16) []byte {
	return segment(hostMAC, backendMAC(backend), netip.AddrPortFrom(backendAddr(maps.IPv4, backend), shopInner), client, ack)
}

// originals are the frames that the wrappers restore, in the order of enum row, each behind two bytes of padding.
func originals() (all [4][2 + headerBytes]byte) {
	for row, frame := range [...][]byte{gamePacket, shopPacket, shopReply(shop.first), relayPacket} {
		copy(all[row][2:], frame)
	}
	return all
}

func originals6() (all [2][2 + header6Bytes]byte) {
	for row, frame := range [...][]byte{gamePacket6, relayPacket6} {
		copy(all[row][2:], frame)
	}
	return all
}

func (p *plane) setUp(crowd int) error {
	if err := p.SetIface(loopback, maps.Iface{MAC: hostMAC}); err != nil {
		return err
	}
	p.SetOuterSource(outer)
	p.SetOuterSource(outer6)
	filter := []netip.Addr{game6.addr, relay6.addr}
	for i := range uint16(backends) {
		addr := backendAddr(maps.IPv4, shop.first+i)
		filter = append(filter, addr)
		if err := p.PutReply(maps.Socket{Addr: addr, Port: shopInner, Protocol: maps.ProtocolTCP},
			maps.Reply{VIP: shop.addr, Port: shopPort, VIPID: shop.vip}); err != nil {
			return err
		}
	}
	for _, s := range []service{game, shop, relay, guild, fair} {
		filter = append(filter, s.addr)
		if err := p.putService(s); err != nil {
			return err
		}
	}
	for i := range crowd {
		filter = append(filter, crowdVIP(i))
	}
	p.SetFilter(filter)
	for _, at := range []service{game, game6, relay, relay6} {
		id := map[service]uint16{game: gameUDP, relay: relayUDP, game6: game6.vip, relay6: relay6.vip}[at]
		protocol := maps.ProtocolUDP
		if at.addr.Is6() {
			protocol = maps.ProtocolTCP
		}
		if err := p.putListener(at, id, maps.Socket{Addr: at.addr, Port: at.port, Protocol: protocol}); err != nil {
			return err
		}
	}
	if err := p.putCandidate(); err != nil {
		return err
	}
	return p.putCrowd(crowd)
}

func (p *plane) putBackends(s service, generation uint16, count uint16) {
	for id := s.first; id < s.first+count; id++ {
		for _, f := range maps.Families() {
			p.PutBackend(f, id, maps.Backend{
				Addr: backendAddr(f, id), Port: s.inner, Generation: generation, Service: s.index, Forwarding: s.forwarding,
				Use: maps.InPool, Outer: f,
			})
			p.SetHop(f, id, maps.Hop{IfIndex: loopback, SrcMAC: hostMAC, DstMAC: backendMAC(id)})
		}
	}
}

// maglevs are the tables of a generation that has so many backends from the first id on.
func maglevs(generation, first, count uint16) (tables []maps.MaglevTable) {
	ids := make([]uint16, 1009)
	for i := range ids {
		ids[i] = first + uint16(i)%count
	}
	for _, f := range maps.Families() {
		tables = append(tables, maps.MaglevTable{Generation: generation, Family: f, IDs: ids, Digest: 1})
	}
	return tables
}

// putService brings up a service with its TCP listener.
func (p *plane) putService(s service) error {
	count := uint16(backends)
	if s == shop {
		count = 1 // enough to steer to, and the reply's source is known
	}
	p.putBackends(s, s.index, backends)
	if err := p.SetMaglevs(maglevs(s.index, s.first, count)); err != nil {
		return err
	}
	config := maps.Service{Name: "bench", Forwarding: s.forwarding, ReuseAfter: reuseAfter, Timeouts: timeouts}
	if s == guild {
		config.Affinity, config.SessionVIP = maps.AffinityClient, [2]uint16{guildSession}
		if err := p.PutVIP(guildSession, maps.VIP{Addr: s.addr, Protocol: maps.ProtocolSession}); err != nil {
			return err
		}
	}
	p.PutService(s.index, config)
	p.SetSteer(s.index, maps.Steer{Live: s.index})
	return p.putListener(s, s.vip, maps.Socket{Addr: s.addr, Port: s.port, Protocol: maps.ProtocolTCP})
}

func (p *plane) putListener(s service, vip uint16, at maps.Socket) error {
	if err := p.PutVIP(vip, maps.VIP{Addr: at.Addr, Protocol: at.Protocol, Listener: vip}); err != nil {
		return err
	}
	return p.PutListener(at, maps.Listener{VIP: vip, Service: s.index, ID: vip, Forwarding: s.forwarding})
}

// putCandidate stages a generation of the fair, with a share of the clients and some testers.
func (p *plane) putCandidate() error {
	staged := fair
	staged.first += backends
	p.putBackends(staged, candidate, backends)
	if err := p.SetMaglevs(maglevs(candidate, staged.first, backends)); err != nil {
		return err
	}
	for i := range fairTesters {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, byte(i >> 8), byte(i)}), 32)
		if err := p.PutTester(maps.Tester{Service: fair.index, Prefix: prefix}, maps.FromOperator); err != nil {
			return err
		}
	}
	p.SetSteer(fair.index, maps.Steer{Live: fair.index, Candidate: candidate, Share: fairShare})
	return nil
}

func (p *plane) putCrowd(count int) error {
	var tables []maps.MaglevTable
	for i := range count {
		s := service{
			index: crowdIndex + uint16(i), vip: crowdVIPs + uint16(i), first: crowdBackend + uint16(i)*crowdBackends,
			forwarding: maps.DSR, addr: crowdVIP(i),
		}
		p.putBackends(s, s.index, crowdBackends)
		tables = append(tables, maglevs(s.index, s.first, crowdBackends)...)
		p.PutService(s.index, maps.Service{Name: "crowd", Forwarding: maps.DSR, ReuseAfter: reuseAfter, Timeouts: timeouts})
		p.SetSteer(s.index, maps.Steer{Live: s.index})
		if err := p.PutVIP(s.vip, maps.VIP{Addr: s.addr, Protocol: maps.ProtocolTCP}); err != nil {
			return err
		}
		for port := range uint16(crowdListeners) {
			at := maps.Socket{Addr: s.addr, Port: crowdPort + port, Protocol: maps.ProtocolTCP}
			id := crowdVIPs + uint16(i)*crowdListeners + port
			if err := p.PutListener(at, maps.Listener{VIP: s.vip, Service: s.index, ID: id, Forwarding: maps.DSR}); err != nil {
				return err
			}
		}
		if len(tables) >= maps.MaglevBatch {
			if err := p.SetMaglevs(tables); err != nil {
				return err
			}
			tables = nil
		}
	}
	return p.SetMaglevs(tables)
}

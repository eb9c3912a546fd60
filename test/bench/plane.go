package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// Two services, each with one listener and a generation of its own, on the interface of BPF_PROG_TEST_RUN.
const (
	loopback   = 1
	game, shop = 1, 2 // service, generation and VIP id
	gamePort   = 7777
	shopPort   = 80
	shopInner  = 8080
	backends   = 16 // of each; the game's ids begin at 1, the shop's behind
	reuseAfter = 300
)

var (
	hostMAC   = mac{2, 0, 0, 0, 0, 0x01}
	routerMAC = mac{2, 0, 0, 0, 0, 0xaa}
	gameVIP   = netip.MustParseAddr("203.0.113.10")
	shopVIP   = netip.MustParseAddr("203.0.113.20")
	stranger  = netip.MustParseAddr("203.0.113.99") // an address that is not ours
	client    = netip.MustParseAddrPort("198.51.100.7:40000")
)

var timeouts = maps.Timeouts{maps.TCPHalfOpen: 3600, maps.TCP: 7200, maps.TCPClosing: 60, maps.UDPNew: 10, maps.UDP: 90}

func backendMAC(id uint16) mac { return mac{2, 0, 0, 0x0b, byte(id >> 8), byte(id)} }

func backendAddr(id uint16) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(id)}) }

// Frames as they are handed to the runner.
var (
	gamePacket = segment(hostMAC, routerMAC, client, netip.AddrPortFrom(gameVIP, gamePort), ack)
	gameSYN    = segment(hostMAC, routerMAC, client, netip.AddrPortFrom(gameVIP, gamePort), syn)
	shopPacket = segment(hostMAC, routerMAC, client, netip.AddrPortFrom(shopVIP, shopPort), ack)
	foreign    = segment(hostMAC, routerMAC, client, netip.AddrPortFrom(stranger, shopPort), ack)
)

// shopReply is what a backend of the shop answers.
func shopReply(backend uint16) []byte {
	return segment(hostMAC, backendMAC(backend), netip.AddrPortFrom(backendAddr(backend), shopInner), client, ack)
}

// plane is a data plane, attached to nothing, in which both services are up.
type plane struct {
	*maps.Tables
	coll *ebpf.Collection
}

// size says what a plane is loaded for.
type size struct {
	maxFlows uint32 // of the IPv4 table; the IPv6 table is small
	flows    uint32 // that the wrappers choose from
	hash     uint32 // room of the kernel HASH
}

func newPlane(spec *ebpf.CollectionSpec, s size) (*plane, error) {
	config := bpf.ProgramConfig{Seed: 0x243f6a8885a308d3, MaxFlows: s.maxFlows}
	shift, err := tickShift(spec)
	if err != nil {
		return nil, err
	}
	config.TickShift = shift
	var layouts [2]maps.Layout
	for f, names := range [2][2]string{{"flows4", "cold4"}, {"flows6", "cold6"}} {
		layouts[f] = maps.LayoutFor(maps.Family(f), []uint32{s.maxFlows, 1024}[f])
		config.Layouts[0][f], config.Layouts[1][f] = layouts[f], layouts[f]
		spec.Maps[names[0]].MaxEntries = maps.LinesOf(layouts[f])
		spec.Maps[names[1]].MaxEntries = maps.LinesOf(layouts[f]) * maps.Slots
	}
	set := map[string]any{"CONFIG": config, "FLOWS": s.flows, "ORIGINALS": originals()}
	if hash := spec.Maps["hash4"]; hash != nil {
		hash.MaxEntries = s.hash
		set["VIP"], set["BACKENDS"] = uint32(game), uint32(backends)
	}
	for name, value := range set {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	return loadPlane(spec, layouts)
}

func loadPlane(spec *ebpf.CollectionSpec, layouts [2]maps.Layout) (*plane, error) {
	vars, err := maps.VariablesOf(spec)
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the data plane: %w", err)
	}
	tables, err := maps.New(coll.Maps, vars, layouts)
	if err != nil {
		coll.Close()
		return nil, err
	}
	p := &plane{Tables: tables, coll: coll}
	if err := p.setUp(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *plane) close() {
	p.Tables.Close()
	p.coll.Close()
}

// originals are the frames that the wrappers restore, in the order of enum row, each behind two bytes of padding.
func originals() (all [5][2 + headerBytes]byte) {
	for row, frame := range [...][]byte{gamePacket, gamePacket, gamePacket, shopPacket, shopReply(backends + 1)} {
		copy(all[row][2:], frame)
	}
	return all
}

func (p *plane) setUp() error {
	if err := p.SetIface(loopback, hostMAC); err != nil {
		return err
	}
	filter := []netip.Addr{gameVIP, shopVIP}
	for i := range uint16(backends) {
		p.putBackend(game, 1+i, maps.DSR, 0)
		p.putBackend(shop, 1+backends+i, maps.NAT, shopInner)
		addr := backendAddr(1 + backends + i)
		filter = append(filter, addr)
		if err := p.PutReply(maps.Socket{Addr: addr, Port: shopInner, Protocol: maps.ProtocolTCP},
			maps.Reply{VIP: shopVIP, Port: shopPort, VIPID: shop}); err != nil {
			return err
		}
	}
	p.SetFilter(filter)
	if err := p.putService(game, maps.DSR, gameVIP, gamePort, 1, backends); err != nil {
		return err
	}
	// One backend is enough to steer to, and the reply's source is known.
	return p.putService(shop, maps.NAT, shopVIP, shopPort, 1+backends, 1)
}

func (p *plane) putBackend(service, id uint16, forwarding maps.Forwarding, port uint16) {
	p.PutBackend(maps.IPv4, id, maps.Backend{
		Addr: backendAddr(id), Port: port, Generation: service, Service: service, Forwarding: forwarding,
		Use: maps.InPool, Timeouts: timeouts,
	})
	p.SetHop(maps.IPv4, id, maps.Hop{IfIndex: loopback, SrcMAC: hostMAC, DstMAC: backendMAC(id)})
}

// putService brings up a service whose generation steers to count backends from the first id on.
func (p *plane) putService(id uint16, forwarding maps.Forwarding, vip netip.Addr, port, first, count uint16) error {
	table := make([]uint16, 1009)
	for i := range table {
		table[i] = first + uint16(i)%count
	}
	if err := p.PutMaglev(id, maps.IPv4, table); err != nil {
		return err
	}
	p.PutService(id, maps.Service{Name: "bench", Forwarding: forwarding, ReuseAfter: reuseAfter})
	p.SetSteer(id, maps.Steer{Live: id})
	if err := p.PutVIP(id, maps.VIP{Addr: vip, Protocol: maps.ProtocolTCP, Listener: id}); err != nil {
		return err
	}
	socket := maps.Socket{Addr: vip, Port: port, Protocol: maps.ProtocolTCP}
	return p.PutListener(socket, maps.Listener{VIP: id, Service: id, ID: id, Forwarding: forwarding})
}

// establish makes every flow an established one, as ten seconds of traffic would.
func (p *plane) establish() (flows int) {
	for slot := range p.SlotCount(maps.IPv4) {
		if m := p.Meta(maps.IPv4, slot); m.State() != maps.Free {
			p.SwapMeta(maps.IPv4, slot, m, m-maps.Meta(m.State())+maps.Meta(maps.Established))
			flows++
		}
	}
	return flows
}

// forget empties the table.
func (p *plane) forget() {
	for slot := range p.SlotCount(maps.IPv4) {
		if m := p.Meta(maps.IPv4, slot); m != 0 {
			p.SwapMeta(maps.IPv4, slot, m, 0)
		}
	}
}

// tickShift makes a tick of about a second, as the loader does: it counts jiffies for a while.
func tickShift(spec *ebpf.CollectionSpec) (uint32, error) {
	only := &ebpf.CollectionSpec{
		Programs: map[string]*ebpf.ProgramSpec{"sample_ticks": spec.Programs["sample_ticks"].Copy()},
	}
	coll, err := ebpf.NewCollection(only)
	if err != nil {
		return 0, fmt.Errorf("load the clock sampler: %w", err)
	}
	defer coll.Close()
	var samples [2]bpf.ProgramTickSample
	for i := range samples {
		opts := ebpf.RunOptions{Context: &samples[i], ContextOut: &samples[i]}
		if _, err := coll.Programs["sample_ticks"].Run(&opts); err != nil {
			return 0, fmt.Errorf("sample the clock: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	elapsed := time.Duration(samples[1].BootNs - samples[0].BootNs)
	hz := float64(samples[1].Jiffies-samples[0].Jiffies) / elapsed.Seconds()
	shift := uint32(0)
	for float64(uint32(1)<<shift) < hz/1.4 {
		shift++
	}
	return shift, nil
}

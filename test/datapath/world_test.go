package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/maps"
)

// Interfaces. The loopback of BPF_PROG_TEST_RUN is where packets come in; the other one only has to be another.
const (
	inside = 1
	beside = 2
)

var (
	hostMAC   = mac{0x02, 0, 0, 0, 0, 0x01}
	routerMAC = mac{0x02, 0, 0, 0, 0, 0xaa}
)

// Services, generations and listeners. Every generation has backends 10*generation+1, +2 and so on.
const (
	game                             = 1 // dsr
	shop                             = 2 // nat, to port 8080 of its backends
	relay                            = 3 // ipip
	blue, green, shopBlue, shopGreen = 1, 2, 3, 4
	relayBlue                        = 5
	gameTCP, gameUDP, gameUDP2       = 1, 2, 3 // listener ids
)

// generations that have counters to look at.
var generations = map[uint16]string{blue: "blue", green: "green", shopBlue: "shop-blue", shopGreen: "shop-green", relayBlue: "relay"}

var (
	client4, client6 = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:c::7")
	gameVIP          = [2]netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")}
	otherVIP         = [2]netip.Addr{netip.MustParseAddr("203.0.113.11"), netip.MustParseAddr("2001:db8::11")}
	shopVIP          = [2]netip.Addr{netip.MustParseAddr("203.0.113.20"), netip.MustParseAddr("2001:db8::20")}
	relayVIP         = [2]netip.Addr{netip.MustParseAddr("203.0.113.30"), netip.MustParseAddr("2001:db8::30")}
)

// Ports.
const (
	gamePort  = 7777
	gamePort2 = 7778
	shopPort  = 80
	shopInner = 8080
)

// standard are the timeouts of every backend, in ticks.
var standard = maps.Timeouts{maps.TCPHalfOpen: 30, maps.TCP: 7200, maps.TCPClosing: 60, maps.UDPNew: 10, maps.UDP: 90}

const reuseAfter = 300

// vipID of {VIP, protocol}. 1 to 4: the game's; 5 to 8: its other VIP's; 9 to 12: the shop's; then the relay's.
func vipID(addr netip.Addr, proto uint8) uint16 {
	for i, pair := range [][2]netip.Addr{gameVIP, otherVIP, shopVIP, relayVIP} {
		for f, a := range pair {
			if a == addr && proto == tcp {
				return uint16(4*i + 2*f + 1)
			} else if a == addr {
				return uint16(4*i + 2*f + 2)
			}
		}
	}
	panic(fmt.Sprint("no VIP: ", addr))
}

func backendMAC(id uint16) mac { return mac{0x02, 0, 0, 0x0b, byte(id >> 8), byte(id)} }

func backendAddr(f maps.Family, id uint16) netip.Addr {
	if f == maps.IPv4 {
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(id)})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x0b, 14: byte(id >> 8), 15: byte(id)})
}

// world is a plane with three services on it: the game (dsr) with blue live and green staged, the shop (nat) and the
// relay (ipip).
type world struct {
	*plane
	tb       testing.TB
	evicting uint32 // entries that a test has marked
}

// mustWorld sets up the world with so many backends a generation.
func mustWorld(tb testing.TB, o options, backends int) *world {
	tb.Helper()
	w := &world{plane: mustPlane(tb, o), tb: tb}
	w.must(w.SetIface(inside, maps.Iface{MAC: hostMAC}))
	for i, tags := range []maps.Tags{oneTag, twoTags} {
		w.must(w.SetVLAN(uint32(100+i), maps.VLAN{On: inside, Tags: tags, MAC: hostMAC}))
	}
	var filter []netip.Addr
	for _, f := range maps.Families() {
		filter = append(filter, gameVIP[f], otherVIP[f], shopVIP[f], relayVIP[f])
		w.SetOuterSource(outerSource[f])
		for generation := range generations {
			filter = append(filter, w.putGeneration(f, generation, backends)...)
		}
	}
	w.SetFilter(filter)
	for _, kind := range maps.EveryLimited() {
		w.SetLimit(kind, 1000)
	}
	w.PutService(game, maps.Service{Name: "game", Forwarding: maps.DSR, ReuseAfter: reuseAfter, Timeouts: standard})
	w.PutService(shop, maps.Service{Name: "shop", Forwarding: maps.NAT, ReuseAfter: reuseAfter, Timeouts: standard})
	w.PutService(relay, maps.Service{Name: "relay", Forwarding: maps.IPIP, ReuseAfter: reuseAfter, Timeouts: standard})
	w.SetSteer(game, maps.Steer{Live: blue})
	w.SetSteer(relay, maps.Steer{Live: relayBlue})
	w.SetSteer(shop, maps.Steer{Live: shopBlue})
	for _, f := range maps.Families() {
		w.putListeners(f)
	}
	return w
}

func (w *world) must(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) putGeneration(f maps.Family, generation uint16, backends int) (addrs []netip.Addr) {
	service, forwarding, port := uint16(game), maps.DSR, uint16(0)
	switch generation {
	case shopBlue, shopGreen:
		service, forwarding, port = shop, maps.NAT, shopInner
	case relayBlue:
		service, forwarding = relay, maps.IPIP
	}
	var ids []uint16
	for i := range backends {
		id := 10*generation + uint16(i) + 1
		ids = append(ids, id)
		addr := backendAddr(f, id)
		w.PutBackend(f, id, maps.Backend{
			Addr: addr, Port: port, Generation: generation, Service: service, Forwarding: forwarding, Use: maps.InPool,
			Outer: f,
		})
		w.SetHop(f, id, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(id)})
		if forwarding == maps.NAT {
			addrs = append(addrs, addr)
			w.putReplies(f, addr, shopInner)
		}
	}
	w.putMaglev(generation, f, ids)
	return addrs
}

// putMaglev sets a generation's table, unless it is that already: each change waits for a grace period.
func (w *world) putMaglev(generation uint16, f maps.Family, ids []uint16) {
	w.tb.Helper()
	if !slices.Equal(w.maglev(generation, f), ids) {
		w.must(w.PutMaglev(generation, f, ids))
	}
}

// maglev reads a table back; nil when there is none.
func (w *world) maglev(generation uint16, f maps.Family) []uint16 {
	w.tb.Helper()
	var inner *ebpf.Map
	if err := w.maps["maglev"].Lookup(uint32(2*generation)+uint32(f), &inner); errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	} else if err != nil {
		w.tb.Fatal(err)
	}
	defer inner.Close()
	var size, four uint64
	w.must(inner.Lookup(uint32(0), &size))
	ids := make([]uint16, size)
	for i := range ids {
		w.must(inner.Lookup(uint32(1+i/4), &four))
		ids[i] = uint16(four >> (i % 4 * 16))
	}
	return ids
}

func (w *world) putReplies(f maps.Family, addr netip.Addr, port uint16) {
	for _, proto := range []uint8{tcp, udp} {
		w.must(w.PutReply(maps.Socket{Addr: addr, Port: port, Protocol: maps.Protocol(proto)},
			maps.Reply{VIP: shopVIP[f], Port: shopPort, VIPID: vipID(shopVIP[f], proto)}))
	}
}

func (w *world) putListeners(f maps.Family) {
	id := uint16(10 * f)
	w.putListener(gameVIP[f], tcp, gamePort, maps.Listener{Service: game, ID: id + gameTCP})
	w.putListener(gameVIP[f], udp, gamePort, maps.Listener{Service: game, ID: id + gameUDP})
	w.putListener(gameVIP[f], udp, gamePort2, maps.Listener{Service: game, ID: id + gameUDP2})
	w.putListener(otherVIP[f], tcp, gamePort, maps.Listener{Service: game, ID: id + 4})
	w.putListener(otherVIP[f], udp, gamePort, maps.Listener{Service: game, ID: id + 5})
	w.putListener(shopVIP[f], tcp, shopPort, maps.Listener{Service: shop, ID: id + 6, Forwarding: maps.NAT})
	w.putListener(shopVIP[f], udp, shopPort, maps.Listener{Service: shop, ID: id + 7, Forwarding: maps.NAT})
	w.putListener(relayVIP[f], tcp, gamePort, maps.Listener{Service: relay, ID: id + 8, Forwarding: maps.IPIP})
	w.putListener(relayVIP[f], udp, gamePort, maps.Listener{Service: relay, ID: id + 9, Forwarding: maps.IPIP})
	w.must(w.PutVIP(vipID(gameVIP[f], udp), maps.VIP{Addr: gameVIP[f], Protocol: udp})) // it has two
}

// putListener adds a listener as the daemon does: its VIP id, the mark of its VIP, then itself.
func (w *world) putListener(vip netip.Addr, proto uint8, port uint16, l maps.Listener) {
	w.tb.Helper()
	l.VIP = vipID(vip, proto)
	mark := l
	mark.Kind = maps.Mark
	w.must(w.PutVIP(l.VIP, maps.VIP{Addr: vip, Protocol: maps.Protocol(proto), Listener: l.ID}))
	w.must(w.PutListener(maps.Socket{Addr: vip, Protocol: maps.Protocol(proto)}, mark))
	w.must(w.PutListener(maps.Socket{Addr: vip, Port: port, Protocol: maps.Protocol(proto)}, l))
}

// flip makes a generation of the game live, the other one draining.
func (w *world) flip(to uint16) {
	w.SetSteer(game, maps.Steer{Live: to, Previous: blue + green - to, Draining: true})
}

// age lets ticks pass: every entry was seen so much longer ago.
func (w *world) age(ticks uint32) {
	w.tb.Helper()
	for flow := range w.Flows() {
		old := w.Meta(flow.Family, flow.Slot)
		if !w.SwapMeta(flow.Family, flow.Slot, old, old.WithSeen(old.Seen()-ticks)) {
			w.tb.Fatalf("age %v: its word changed", flow)
		}
	}
}

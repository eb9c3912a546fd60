package datapath

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// somewhere is an address that no listener has.
var somewhere = [2]netip.Addr{netip.MustParseAddr("203.0.113.99"), netip.MustParseAddr("2001:db8::99")}

func TestWhatIsNotForAListenerPasses(t *testing.T) { runRows(t, passRows()) }

func passRows() []row {
	arp := append(append(append([]byte{}, hostMAC[:]...), routerMAC[:]...), 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1)
	return []row{
		passed("ARP", arp, "pass_not_ip"),
		passed("three VLAN tags", gamePacket(maps.IPv4, syn).change(func(f *frame) {
			f.tags = []tag{{0x88a8, 1}, {0x8100, 2}, {0x8100, 3}}
		}).bytes(), "pass_not_ip"),
		passed("flooded IPv4 for another MAC", gamePacket(maps.IPv4, syn).change(func(f *frame) { f.dst[5]++ }).bytes(), "pass_other_mac"),
		passed("flooded IPv6 for another MAC", gamePacket(maps.IPv6, syn).change(func(f *frame) { f.dst[0] ^= 4 }).bytes(), "pass_other_mac"),
		passed("broadcast", gamePacket(maps.IPv4, syn).change(func(f *frame) {
			f.dst = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}).bytes(), "pass_other_mac"),
		passed("IPv4 header too short", gamePacket(maps.IPv4, syn).change(func(f *frame) { f.ihl = 4 }).bytes(), "pass_malformed"),
		passed("IPv4 header beyond the frame", gamePacket(maps.IPv4, syn).change(func(f *frame) { f.ihl = 15 }).bytes(), "pass_malformed"),
		passed("version 5 in an IPv4 frame", gamePacket(maps.IPv4, syn).change(func(f *frame) { f.version = 5 }).bytes(), "pass_malformed"),
		passed("version 4 in an IPv6 frame", gamePacket(maps.IPv6, syn).change(func(f *frame) { f.version = 4 }).bytes(), "pass_malformed"),
		passed("IPv4 elsewhere", toVIP(somewhere[0], tcp, gamePort, syn).bytes(), "pass_not_ours"),
		passed("IPv6 elsewhere", toVIP(somewhere[1], tcp, gamePort, syn).bytes(), "pass_not_ours"),
		passed("another port of a VIP", toVIP(gameVIP[0], tcp, 22, syn).bytes(), "pass_not_ours"),
		passed("port 0 of a VIP", toVIP(gameVIP[0], tcp, 0, syn).bytes(), "pass_not_ours"),
		passed("port 0 of an IPv6 VIP", toVIP(gameVIP[1], udp, 0, 0).bytes(), "pass_not_ours"),
		passed("ping of a VIP", toVIP(gameVIP[0], 1, gamePort, 0).bytes(), "pass_not_ours"),
		passed("ping of an IPv6 VIP", toVIP(gameVIP[1], 58, gamePort, 0).bytes(), "pass_not_ours"),
		passed("fragment elsewhere", toVIP(somewhere[0], udp, gamePort, 0).change(func(f *frame) { f.frag = 0x2000 }).bytes(), "pass_not_ours"),
		passed("broken TCP elsewhere", toVIP(somewhere[1], tcp, gamePort, syn).change(func(f *frame) { f.doff = 15 }).bytes(), "pass_not_ours"),
	}
}

func TestRepliesOfNoFlowPass(t *testing.T) { runRows(t, noFlowRows()) }

func noFlowRows() (rows []row) {
	for _, f := range maps.Families() {
		answer := shopPacket(f, syn).answer(31, shopInner, syn|ack)
		rows = append(rows,
			passed(familyName(f)+" no flow", answer.bytes(), "pass_no_flow"),
			passed(familyName(f)+" a backend's own connection", answer.change(func(f *frame) {
				f.from = netip.AddrPortFrom(f.from.Addr(), 50000)
			}).bytes(), "pass_not_ours"),
			passed(familyName(f)+" a backend that the flow is not pinned to", answer.bytes(), "pass_no_flow").given(func(w *world) {
				w.SetSteer(shop, maps.Steer{Live: shopGreen})
				w.send(shopPacket(f, syn))
			}),
			passed(familyName(f)+" an expired flow", answer.bytes(), "pass_no_flow").given(func(w *world) {
				w.send(shopPacket(f, syn))
				w.age(standard[maps.TCPHalfOpen] + 1)
			}),
		)
	}
	return rows
}

func familyName(f maps.Family) string { return [2]string{"IPv4", "IPv6"}[f] }

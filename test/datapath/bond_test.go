package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// The kernel runs a bond's program on its members: what comes in by one is for the MAC of the bond, and leaves by the bond,
// also when that member has left meanwhile. A VLAN on the bond is one by whichever member its frames come.
func TestPacketsThatComeInByAMemberLeaveByItsBond(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			w.must(w.RemoveVLAN(100))
			w.must(w.SetVLAN(200, maps.VLAN{On: beside, Tags: oneTag, MAC: hostMAC}))
			w.must(w.SetIface(beside, maps.Iface{MAC: hostMAC})) // the bond
			w.must(w.SetIface(inside, maps.Iface{MAC: hostMAC, Out: beside}))
			w.SetHop(f, 31, maps.Hop{IfIndex: beside, SrcMAC: hostMAC, DstMAC: backendMAC(31)})
			by := func(in, out frame, m moves) row {
				return row{in: in.bytes(), verdict: redirect, out: out.bytes(), moves: m}
			}
			in := shopPacket(f, syn)
			by(in, in.translated(31, shopInner), began("shop-blue", in.bytes())).check(t, w)
			inVLAN := in.at(2).change(tagged)
			by(inVLAN, inVLAN.translated(31, shopInner), began("shop-blue", inVLAN.bytes())).check(t, w)
			w.RemoveIface(inside)
			w.must(w.SetIface(inside, maps.Iface{MAC: hostMAC})) // another interface now
			back := in.answer(31, shopInner, syn|ack)
			by(back, back.returned(), moves{}).check(t, w)
			back = inVLAN.answer(31, shopInner, syn|ack)
			want := back.returned()
			want.tags = inVLAN.tags
			by(back, want, moves{}).check(t, w)
		})
	}
}

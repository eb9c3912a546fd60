package datapath

import (
	"fmt"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/model"
)

// sceneTags are those of VLANs that the host of a scene may be in.
var sceneTags = []maps.Tags{
	{{TPID: 0x8100, ID: 5}}, {{TPID: 0x88a8, ID: 5}}, {{TPID: 0x88a8, ID: 5}, {TPID: 0x8100, ID: 6}}, {{TPID: 0x8100, ID: 6}, {TPID: 0x8100, ID: 5}},
}

func tagsOf(tags maps.Tags) (out []tag) {
	for _, t := range tags[:tags.Count()] {
		out = append(out, tag{t.TPID, t.ID})
	}
	return out
}

// changeVLAN makes the i-th VLAN one that the host is in, changes it, or takes it away.
func (s *scene) changeVLAN(i int) {
	way := model.Way{Iface: inside, Tags: modelTags(sceneTags[i])}
	index := uint32(50 + i)
	if s.one(4) {
		delete(s.m.VLANs, way)
		s.must(s.RemoveVLAN(index))
		return
	}
	mac := model.MAC(hostMAC)
	mac[4] = byte(s.r.IntN(3))
	v := model.Iface{MAC: mac, MTU: pickFrom(s.r, 65535, 1280, 600)}
	s.m.VLANs[way] = v
	s.must(s.SetVLAN(index, maps.VLAN{On: inside, Tags: sceneTags[i], MAC: v.MAC, MTU: uint32(v.MTU)}))
}

// retagged is f as it leaves by a way with these tags: a tag that takes the place of another has its priority.
func (f frame) retagged(tags maps.Tags) frame {
	was := f.tags
	f.tags = tagsOf(tags)
	for i := range f.tags {
		if i < len(was) {
			f.tags[i].tci |= was[i].tci & 0xf000
		}
	}
	return f
}

// vlanShapes are the tags that frames come in with, and those that ways out have.
var vlanShapes = map[string]maps.Tags{
	"untagged": {}, "one tag": oneTag, "another tag": {{TPID: 0x8100, ID: 200}}, "a service tag": {{TPID: 0x88a8, ID: 100}},
	"QinQ": twoTags, "another QinQ": {{TPID: 0x8100, ID: 4094}, {TPID: 0x8100, ID: 1}},
}

// A frame leaves with the tags of its way out, whatever it came with: pushed, popped, rewritten or kept, in every mode, for
// a new flow and a plain hit. Priorities stay.
func TestTagsBecomeThoseOfTheWayOut(t *testing.T) {
	for _, f := range maps.Families() {
		for mode, c := range map[string]struct {
			in   frame
			id   uint16
			want func(frame) frame
		}{
			"dsr":  {gamePacket(f, syn), 11, func(f frame) frame { return f.steered(11) }},
			"nat":  {shopPacket(f, syn), 31, func(f frame) frame { return f.translated(31, shopInner) }},
			"ipip": {relayPacket(f, syn), 51, nil},
		} {
			t.Run(familyName(f)+" "+mode, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				port, index := uint16(1000), uint32(110)
				for from, have := range vlanShapes {
					if index++; have.Count() > 0 {
						w.must(w.SetVLAN(index, maps.VLAN{On: inside, Tags: have, MAC: hostMAC}))
					}
					for to, want := range vlanShapes {
						w.SetHop(f, c.id, maps.Hop{IfIndex: inside, SrcMAC: hostMAC, DstMAC: backendMAC(c.id), Tags: want})
						port++
						in := c.in.at(port)
						in.tags = tagsOf(have)
						for i := range in.tags {
							in.tags[i].tci |= 0xb000 >> i & 0xf000
						}
						t.Run(from+" to "+to, func(t *testing.T) { w.checkRetagged(t, in, c.id, want, c.want) })
					}
				}
			})
		}
	}
}

// checkRetagged runs a new flow's first packet, a later one, and a plain hit, their headroom full of stale bytes.
func (w *world) checkRetagged(t *testing.T, in frame, id uint16, tags maps.Tags, forward func(frame) frame) {
	t.Helper()
	for i, in := range []frame{in, in.flagged(ack), in.flagged(ack | psh).with([]byte("move"))} {
		if i == 2 {
			w.force(in, maps.Established, 0)
		}
		v, out := w.runOnStaleBytes(t, in.bytes(), staleBytes)
		var want frame
		if forward != nil {
			want = forward(in)
		} else {
			want = in.relayed(id, in.family(), readOuter(out, tags.Count()))
		}
		want.tags = in.retagged(tags).tags
		if v != tx || string(out) != string(want.bytes()) {
			t.Fatalf("packet %d: verdict %v\n% x, want\n% x", i, v, out, want.bytes())
		}
	}
}

// A nat reply leaves in the VLAN that its client's packets came in last; its own tags are the backend's affair.
func TestAnswersLeaveInTheVLANOfTheirClient(t *testing.T) {
	for _, f := range maps.Families() {
		for name, first := range map[string]frame{"TCP": shopPacket(f, ack), "UDP": shopDatagram(f)} {
			t.Run(familyName(f)+" "+name, func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				vlanMAC := mac{0x02, 0, 0, 0, 0, 0x77}
				for i, tags := range []maps.Tags{oneTag, twoTags} {
					w.must(w.SetVLAN(uint32(100+i), maps.VLAN{On: inside, Tags: tags, MAC: vlanMAC}))
				}
				for _, from := range []maps.Tags{{}, oneTag, twoTags} {
					in := first
					in.tags = tagsOf(from)
					w.send(in.flagged(syn))
					for _, hit := range []bool{false, true} {
						if hit {
							w.force(in, maps.Established, 0)
						}
						for _, own := range vlanShapes {
							back := first.answer(31, shopInner, ack)
							back.tags = tagsOf(own)
							want := back.returned()
							want.tags = back.retagged(from).tags
							if from.Count() > 0 {
								want.src = vlanMAC
							}
							forwarded("", back, want, moves{}).check(t, w)
						}
					}
					w.age(reuseAfter) // the next SYN begins anew
				}
			})
		}
	}
}

// A tag of VLAN 0 has a priority and no VLAN: the client's answers leave without one.
func TestAPriorityTagIsNoVLAN(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			in := shopPacket(f, syn).change(func(f *frame) { f.tags = []tag{{0x8100, 0xa000}} })
			forwarded("", in, in.translated(31, shopInner), began("shop-blue", in.bytes())).check(t, w)
			back := in.answer(31, shopInner, syn|ack)
			forwarded("", back, back.returned(), moves{}).check(t, w)
		})
	}
}

// In nat a flow in a VLAN that the host is not in would have no way back: it does not begin. One that there is keeps its way.
// In dsr and ipip none has to come back here.
func TestAVLANThatTheHostIsNotIn(t *testing.T) {
	for _, f := range maps.Families() {
		for _, tags := range [][]tag{{{0x8100, 101}}, {{0x88a8, 100}}, {{0x8100, 7}, {0x8100, 100}}, {{0x88a8, 7}, {0x8100, 0}}, {{0x88a8, 7}}} {
			t.Run(fmt.Sprint(familyName(f), tags), func(t *testing.T) {
				w := mustWorld(t, options{flows: 1000}, 1)
				other := func(f *frame) { f.tags = tags }
				dropped("nat", shopPacket(f, syn).change(other).bytes(), "drop_other_vlan").check(t, w)
				if n := len(w.pins()); n != 0 {
					t.Errorf("%d pins", n)
				}
				w.send(shopPacket(f, syn))
				there := shopPacket(f, ack).change(other)
				forwarded("a flow that there is", there, there.translated(31, shopInner), sent("shop-blue", there.bytes())).check(t, w)
				back := there.answer(31, shopInner, syn|ack)
				forwarded("its way back", back, back.returned(), moves{}).check(t, w)
				in := gamePacket(f, syn).change(other)
				forwarded("dsr", in, in.steered(11), began("blue", in.bytes())).check(t, w)
			})
		}
	}
}

// A VLAN that goes takes the way back with it; one that comes in its place is not taken for it.
func TestAVLANThatGoes(t *testing.T) {
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) {
			w := mustWorld(t, options{flows: 1000}, 1)
			in := shopPacket(f, syn).change(tagged)
			w.send(in)
			w.must(w.RemoveVLAN(100))
			back := in.answer(31, shopInner, syn|ack)
			dropped("its answer", back.bytes(), "drop_unresolved").check(t, w)
			dropped("another client", in.at(2).bytes(), "drop_other_vlan").check(t, w)
			untagged := shopPacket(f, ack)
			forwarded("by another way", untagged, untagged.translated(31, shopInner), sent("shop-blue", untagged.bytes())).check(t, w)
			forwarded("the answer follows", back, back.returned(), moves{}).check(t, w)
		})
	}
}

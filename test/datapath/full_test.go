package datapath

import (
	"fmt"
	"testing"

	"github.com/ebbtide/ebbtide/maps"
)

// tiny is a table of two lines and the least overflow there is: every flow competes with every other.
var tiny = options{flows: 1}

// crowd is a flow that fills the table.
func crowd(fam maps.Family, i int) frame { return gamePacket(fam, 0).at(uint16(20000 + i)) }

// force puts a flow's entry into a state, as long ago as that.
func (w *world) force(f frame, state maps.FlowState, silence uint32) {
	w.tb.Helper()
	flow := w.pin(f)
	old := w.Meta(flow.Family, flow.Slot)
	if !w.SwapMeta(flow.Family, flow.Slot, old, (old&^0xff | maps.Meta(state)).WithSeen(-silence)) {
		w.tb.Fatal("the word changed")
	}
}

// fill pins so many flows, each established before the next one comes.
func (w *world) fill(fam maps.Family, n int) {
	w.tb.Helper()
	for i := range n {
		w.send(crowd(fam, i).flagged(syn))
		w.force(crowd(fam, i), maps.Established, 0)
	}
}

// mainSlots and allSlots are what a family's table has, without and with the overflow.
func (w *world) mainSlots(f maps.Family) int { return int(w.layouts[f].Lines * maps.Slots) }
func (w *world) allSlots(f maps.Family) int  { return int(w.SlotCount(f)) }

// What may make room, in this order: expired, closing, the oldest half-open, the oldest young; then the overflow.
func TestTheOrderOfReplacement(t *testing.T) {
	type entry struct {
		state   maps.FlowState
		silence uint32
	}
	expired := entry{maps.HalfOpen, standard[maps.TCPHalfOpen] + 1}
	for _, c := range []struct {
		name    string
		entries []entry
		victim  int
		moves   moves
	}{
		{"expired before closing", []entry{{maps.Closing, 60}, {maps.HalfOpen, 30}, expired, {maps.Young, 99}}, 2, moves{}},
		{"an expired established one", []entry{{maps.Closing, 60}, {maps.Established, standard[maps.TCP] + 1}}, 1, moves{}},
		{"closing before half-open", []entry{{maps.HalfOpen, 30}, {maps.Young, 99}, {maps.Closing, 0}}, 2, moves{"event_replaced_closing": 1}},
		{"the oldest closing", []entry{{maps.Closing, 5}, {maps.Closing, 7}, {maps.Closing, 6}}, 1, moves{"event_replaced_closing": 1}},
		{"half-open before young", []entry{{maps.Young, 99}, {maps.HalfOpen, 0}}, 1, moves{"event_replaced_half_open": 1}},
		{"the oldest half-open", []entry{{maps.HalfOpen, 5}, {maps.HalfOpen, 9}, {maps.Young, 99}}, 1, moves{"event_replaced_half_open": 1}},
		{"the oldest young", []entry{{maps.Young, 3}, {maps.Established, 7000}, {maps.Young, 8}}, 2, moves{"event_replaced_young": 1}},
		{"the overflow before an established one", []entry{{maps.Established, 7000}}, -1, moves{"event_overflow": 1}},
	} {
		for _, fam := range maps.Families() {
			t.Run(familyName(fam)+" "+c.name, func(t *testing.T) {
				w := mustWorld(t, tiny, 3)
				w.fill(fam, w.mainSlots(fam))
				for i, e := range c.entries {
					w.force(crowd(fam, i), e.state, e.silence)
				}
				c.moves["blue.new"] = 1
				w.expectMoves(c.moves, func() { w.send(gamePacket(fam, syn)) })
				w.checkReplaced(fam, w.mainSlots(fam), c.victim)
			})
		}
	}
}

// checkReplaced: of the crowd just the victim has lost its entry.
func (w *world) checkReplaced(fam maps.Family, crowded, victim int) {
	w.tb.Helper()
	pins := w.pins()
	for i := range crowded {
		if _, kept := pins[crowd(fam, i).key()]; kept == (i == victim) {
			w.tb.Errorf("flow %d: kept %v, the victim is %d", i, kept, victim)
		}
	}
	if _, ok := pins[gamePacket(fam, 0).key()]; !ok {
		w.tb.Error("the new flow has no pin")
	}
}

// The same order holds in the overflow, once the candidate lines are full of established flows.
func TestTheOrderOfReplacementInTheOverflow(t *testing.T) {
	for _, fam := range maps.Families() {
		w := mustWorld(t, tiny, 3)
		all := w.allSlots(fam)
		w.fill(fam, all)
		for i, s := range []maps.FlowState{maps.Young, maps.HalfOpen, maps.Closing} {
			victim := all - 1 - i
			w.force(crowd(fam, victim), s, 5)
			w.send(gamePacket(fam, 0).at(uint16(i)).flagged(syn))
			if _, kept := w.pins()[crowd(fam, victim).key()]; kept {
				t.Errorf("%s: %s was not replaced", familyName(fam), maps.StateName(s))
			}
			w.force(gamePacket(fam, 0).at(uint16(i)), maps.Established, 0)
		}
		if s := w.total(); s.Stash != uint64(all-w.mainSlots(fam)) || s.Used != uint64(all) {
			t.Errorf("%s: %+v, want all %d slots used", familyName(fam), s, all)
		}
	}
}

// A flow in the overflow lives as any other: it hits, grows old, expires and comes back in its own slot.
func TestAFlowInTheOverflow(t *testing.T) {
	eachTiny(t, func(t *testing.T, w *world, f frame) {
		w.fill(f.family(), w.mainSlots(f.family()))
		w.send(f.flagged(syn), f.flagged(ack))
		w.wantState(f, maps.Young)
		slot := w.pin(f).Slot
		if int(slot) < w.mainSlots(f.family()) {
			t.Fatalf("slot %d is not in the overflow", slot)
		}
		w.flip(green)
		w.force(f, maps.Established, 0)
		w.expectMoves(moves{}, func() { w.wantColour(f.flagged(ack), blue) })
		w.force(f, maps.Established, standard[maps.TCP]+1)
		w.expectMoves(moves{"green.new": 1, "event_overflow": 1}, func() { w.wantColour(f.flagged(syn), green) })
		if got := w.pin(f).Slot; got != slot {
			t.Errorf("revived in slot %d, it was in %d", got, slot)
		}
	})
}

func eachTiny(t *testing.T, test func(t *testing.T, w *world, f frame)) {
	t.Helper()
	for _, f := range maps.Families() {
		t.Run(familyName(f), func(t *testing.T) { test(t, mustWorld(t, tiny, 3), gamePacket(f, 0)) })
	}
}

// A flood per protocol and per path.
var floods = map[string]struct {
	base  func(maps.Family) frame
	flags []uint8
}{
	"SYN":         {func(f maps.Family) frame { return gamePacket(f, 0) }, []uint8{syn}},
	"SYN and ACK": {func(f maps.Family) frame { return gamePacket(f, 0) }, []uint8{syn, ack}},
	"stray ACK":   {func(f maps.Family) frame { return gamePacket(f, 0) }, []uint8{ack}},
	"stray data":  {func(f maps.Family) frame { return gamePacket(f, 0) }, []uint8{ack | psh, ack | psh}},
	"FIN":         {func(f maps.Family) frame { return gamePacket(f, 0) }, []uint8{fin | ack, rst}},
	"UDP":         {gameDatagram, []uint8{0}},
	"UDP pairs":   {gameDatagram, []uint8{0, 0}},
	"nat SYN":     {func(f maps.Family) frame { return shopPacket(f, 0) }, []uint8{syn, ack}},
	"nat UDP":     {shopDatagram, []uint8{0, 0}},
}

// However full the table, a flood of ten times its size takes no established flow's pin, and with nothing draining all
// of it is served; in nat, where no reply would find its way back without a pin, what finds none is dropped. Meanwhile others read the table and sweep it: whoever is in is in each dump and in each count.
func TestNoFloodReplacesAnEstablishedFlow(t *testing.T) {
	for name, flood := range floods {
		for _, share := range []int{50, 90, 100} {
			t.Run(fmt.Sprintf("%s at %d%%", name, share), func(t *testing.T) {
				for _, fam := range maps.Families() {
					w := mustWorld(t, tiny, 3)
					n := w.allSlots(fam) * share / 100
					w.fill(fam, n)
					before := w.pins()
					counted, watched := w.counters(t), w.watched(before)
					for i := range 10 * w.allSlots(fam) {
						for _, flags := range flood.flags {
							w.offer(flood.base(fam).at(uint16(i)).flagged(flags))
						}
					}
					watched()
					w.checkKept(fam, n, before)
					nat := flood.base(fam).to.Port() == shopPort
					w.checkUnpinned(nat, share == 100, uint64(10*w.allSlots(fam)*len(flood.flags)))
					w.checkTotals(n, w.counters(t).since(counted))
				}
			})
		}
	}
}

// checkKept: the crowd has the pins it had.
func (w *world) checkKept(fam maps.Family, n int, before map[key]maps.Flow) {
	w.tb.Helper()
	after := w.pins()
	for i := range n {
		k := crowd(fam, i).key()
		if a, b := after[k], before[k]; a.Backend != b.Backend || a.Slot != b.Slot || a.State != maps.Established {
			w.tb.Fatalf("established flow %d: had %+v, has %+v", i, b, a)
		}
	}
	checkReleased(w.tb, w)
}

// offer sends a packet that may find the table full.
func (w *world) offer(f frame) {
	w.tb.Helper()
	if v, _ := w.run(w.tb, f.bytes()); v != tx && (v != drop || f.to.Port() != shopPort) {
		w.tb.Fatalf("verdict %v for %+v", v, f)
	}
}

// checkUnpinned: what found no slot is counted, whether it was forwarded or, in nat, dropped.
func (w *world) checkUnpinned(nat, full bool, packets uint64) {
	w.tb.Helper()
	if dropped := w.counters(w.tb)["drop_table_full"]; nat && full && dropped != packets || !nat && dropped != 0 {
		w.tb.Errorf("%d packets dropped of %d", dropped, packets)
	}
	full = full && !nat
	var unpinned uint64
	for index := range generations {
		c, err := w.Counters(index)
		w.must(err)
		unpinned += c.Unpinned
	}
	event := w.counters(w.tb)["event_unpinned"]
	if unpinned != event || full && unpinned != packets {
		w.tb.Errorf("%d packets unpinned, %d as events, of %d", unpinned, event, packets)
	}
}

// While a generation drains, a SYN that can't be pinned is dropped and counted: its second packet would look like an
// orphan, and go to the old colour. Who was in stays in, and the first slot that gets free takes the next login.
func TestAFullTableADrainAndANewLogin(t *testing.T) {
	eachTiny(t, func(t *testing.T, w *world, f frame) {
		fam := f.family()
		w.fill(fam, w.allSlots(fam))
		w.flip(green)
		w.expectMoves(moves{"drop_table_full": 1}, func() { w.wantColour(f.flagged(syn), 0) })
		w.expectMoves(moves{"blue.unpinned": 1, "event_unpinned": 1}, func() { w.wantColour(f.flagged(ack), blue) })
		w.expectMoves(moves{"green.unpinned": 1, "event_unpinned": 1}, func() { w.wantColour(gameDatagram(fam), green) })
		w.checkCrowdIsServed(fam)
		w.send(crowd(fam, 3).flagged(fin | ack))
		w.expectMoves(moves{"green.new": 1, "event_replaced_closing": 1}, func() { w.wantColour(f.flagged(syn), green) })
		w.expectMoves(moves{}, func() { w.wantColour(f.flagged(ack), green) })
		w.force(f, maps.Established, 0)
		w.SetSteer(game, maps.Steer{Live: green})
		w.expectMoves(moves{"green.unpinned": 1, "event_unpinned": 1}, func() { w.wantColour(f.at(2).flagged(syn), green) })
	})
}

func (w *world) checkCrowdIsServed(fam maps.Family) {
	w.tb.Helper()
	w.expectMoves(moves{}, func() {
		for i := range w.allSlots(fam) {
			w.wantColour(crowd(fam, i).flagged(ack), blue)
		}
	})
}

// The tick of the last unpinned flow says how long a generation stays inconclusive.
func TestTheLastUnpinnedTick(t *testing.T) {
	w := mustWorld(t, options{flows: 1, tickShift: 8}, 3)
	for i := range w.allSlots(maps.IPv4) {
		w.send(crowd(maps.IPv4, i).flagged(syn))
		flow := w.pin(crowd(maps.IPv4, i))
		old := w.Meta(maps.IPv4, flow.Slot)
		w.SwapMeta(maps.IPv4, flow.Slot, old, old&^7|maps.Meta(maps.Established))
	}
	before := w.mustSweep(t).Tick
	w.send(gamePacket(maps.IPv4, syn))
	after := w.mustSweep(t).Tick
	c, err := w.Counters(blue)
	if err != nil || c.LastUnpinned < before || c.LastUnpinned > after || c.LastUnpinned == 0 {
		t.Errorf("last unpinned at tick %d (%v), sent between %d and %d", c.LastUnpinned, err, before, after)
	}
}

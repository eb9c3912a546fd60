package datapath

import (
	"maps"
	"math/rand/v2"
	"testing"

	ebb "github.com/ebbtide/ebbtide/maps"
)

// What a sweep counts is what a walk of the table finds: per backend and state, VIP and listener, whether a VIP has one
// listener or several, in both families, the overflow included.
func TestASweepCountsWhatAWalkFinds(t *testing.T) {
	for _, flows := range []uint32{1, 1000} {
		w := mustWorld(t, options{flows: flows}, 3)
		random := rand.New(rand.NewPCG(1, uint64(flows)))
		for round := range 20 {
			for range 100 {
				w.run(t, randomPacket(random).bytes())
			}
			if round == 10 {
				w.flip(green)
			}
			w.age(uint32(random.IntN(20)))
			w.compareSweep(round)
		}
	}
}

func randomPacket(random *rand.Rand) frame {
	f := ebb.Family(random.IntN(2))
	second := gameDatagram(f)
	second.to = gameSecond(f)
	packets := []frame{gamePacket(f, 0), gameDatagram(f), second, shopPacket(f, 0), shopDatagram(f)}
	flags := []uint8{syn, ack, ack, ack | psh, fin | ack, rst}
	return packets[random.IntN(len(packets))].at(uint16(random.IntN(60))).flagged(flags[random.IntN(len(flags))])
}

func (w *world) compareSweep(round int) {
	w.tb.Helper()
	got := w.mustSweep(w.tb) // frees first what has expired: the walk below sees what it saw
	want := ebb.Sweep{Sessions: map[uint16]ebb.States{}, VIPs: map[uint16]uint64{}, Listeners: map[uint16]uint64{}}
	listeners, err := w.Listeners()
	w.must(err)
	vips, err := w.VIPs()
	w.must(err)
	for f := range w.Flows() {
		states := want.Sessions[f.Backend]
		states[f.State]++
		want.Sessions[f.Backend] = states
		want.VIPs[f.VIP]++
		v := vips[f.VIP]
		want.Listeners[listeners[ebb.Socket{Addr: v.Addr, Port: f.Port, Protocol: v.Protocol}].ID]++
		want.Tables[f.Family].Used++
		if f.Slot >= w.layouts[f.Family].Lines*ebb.Slots {
			want.Tables[f.Family].Stash++
		}
	}
	for f := range want.Tables {
		want.Tables[f].Freed = got.Tables[f].Freed
	}
	if !maps.Equal(got.Sessions, want.Sessions) || !maps.Equal(got.VIPs, want.VIPs) || !maps.Equal(got.Listeners, want.Listeners) {
		w.tb.Errorf("round %d: the sweep counts %+v, the walk %+v", round, got, want)
	}
	if got.Tables != want.Tables || got.Missed != 0 {
		w.tb.Errorf("round %d: the sweep found %+v, the walk %+v", round, got.Tables, want.Tables)
	}
}

// A slot that is being written is reported, so that the pass proves nothing.
func TestASweepReportsAClaimedSlot(t *testing.T) {
	for _, f := range ebb.Families() {
		w := mustWorld(t, options{flows: 1000}, 3)
		w.send(gamePacket(f, syn))
		flow := w.pin(gamePacket(f, 0))
		old := w.Meta(f, flow.Slot)
		w.SwapMeta(f, flow.Slot, old, old&^7|ebb.Meta(ebb.Claimed))
		if s := w.mustSweep(t); s.Missed != 1 || s.Tables[f].Used != 0 || s.Tables[f].Freed != 0 {
			t.Errorf("%s: %+v", familyName(f), s)
		}
	}
}

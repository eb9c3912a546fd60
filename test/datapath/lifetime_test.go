package datapath

import (
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/maps"
)

// keepsLifetimes makes the game's generations known, as the daemon does.
func (w *world) keepsLifetimes() {
	for _, g := range []uint16{blue, green} {
		w.PutGeneration(g, maps.Generation{Number: uint32(g), Service: game, State: maps.Live})
	}
}

// lifetimes of a generation's sessions.
func (w *world) lifetimes(generation uint16) maps.Lifetimes {
	w.tb.Helper()
	l, err := w.Lifetimes(generation)
	w.must(err)
	return l
}

// lasted makes a flow have begun so many ticks before its last packet.
func (w *world) lasted(flow maps.Flow, ticks uint32) {
	w.tb.Helper()
	m := w.maps[coldName[flow.Family]]
	var cold bpf.ProgramCold
	w.must(m.Lookup(flow.Slot, &cold))
	cold.Start = (flow.Seen - ticks) & maps.TickMask
	w.must(m.Put(flow.Slot, cold))
}

// unage makes all flows be seen just now.
func (w *world) unage() {
	for flow := range w.Flows() {
		old := w.Meta(flow.Family, flow.Slot)
		w.SwapMeta(flow.Family, flow.Slot, old, old.WithSeen(0))
	}
}

// bucketOf a length, by the bounds that Go has.
func bucketOf(tb testing.TB, ticks uint32) int {
	tb.Helper()
	for i := range maps.LifetimeBuckets {
		if low, high := maps.LifetimeBounds(i); low <= ticks && ticks < high {
			return i
		}
	}
	tb.Fatalf("no bucket has %d ticks", ticks)
	return 0
}

// Each length is in the bucket whose bounds it lies in, from the first packet to the last: the timeout is none of it.
func TestTheSweeperNotesHowLongSessionsLasted(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.keepsLifetimes()
		var want maps.Lifetimes
		lengths := []uint32{0, 1, 7, 8, 9, 15, 16, 100, 3600, 86399, 1 << 20, maps.TickMask / 2, maps.TickMask/2 + 1}
		for i, ticks := range lengths {
			g := f.at(uint16(100 + i))
			w.establish(g)
			if w.mustSweep(t); i == 0 && w.lifetimes(blue) != (maps.Lifetimes{}) {
				t.Errorf("of a session that lives it noted %v", w.lifetimes(blue))
			}
			w.unage()
			if ticks > maps.TickMask/2 { // it ended before it began: another CPU's clock
				ticks = 0
			}
			want[bucketOf(t, ticks)]++
		}
		w.age(standardOf(f.proto, maps.Established) + 1)
		for i, ticks := range lengths { // their last packet is longer ago now, and so is the first
			w.lasted(w.pin(f.at(uint16(100+i))), ticks)
		}
		if s := w.mustSweep(t); s.Tables[f.family()].Freed != uint64(len(lengths)) {
			t.Fatalf("%d freed", s.Tables[f.family()].Freed)
		}
		if got := w.lifetimes(blue); got != want {
			t.Errorf("noted %v\nwant  %v", got, want)
		}
		if got := w.lifetimes(green); got != (maps.Lifetimes{}) {
			t.Errorf("of a generation without sessions: %v", got)
		}
	})
}

// A flow that never came to its second packet was no session.
func TestAHalfOpenFlowHasNoLifetime(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.keepsLifetimes()
		w.send(f.flagged(syn))
		w.age(standardOf(f.proto, maps.HalfOpen) + 1)
		w.mustSweep(t)
		if got := w.lifetimes(blue); got != (maps.Lifetimes{}) {
			t.Errorf("noted %v", got)
		}
	})
}

// A session that was moved did not end by itself.
func TestAnEvictedFlowHasNoLifetime(t *testing.T) {
	eachKind(t, func(t *testing.T, w *world, f frame) {
		w.keepsLifetimes()
		w.establish(f)
		flow := w.pin(f)
		n, err := w.Evict(w.evicter, maps.Eviction{Service: game, Generation: blue}, 1)
		if w.must(err); n != 1 {
			t.Fatalf("%d evicted", n)
		}
		w.age(standard[maps.TCP] + 1)
		w.mustSweep(t)
		if got := w.lifetimes(blue); len(w.pins()) != 0 || got != (maps.Lifetimes{}) {
			t.Errorf("of %v it noted %v", flow, got)
		}
	})
}

// Where a client has a session, that is what lasts; its flows are not noted.
func TestAClientsSessionHasOneLifetime(t *testing.T) {
	eachParty(t, maps.AffinityClient, func(t *testing.T, w *world, f, g frame) {
		w.keepsLifetimes()
		w.establish(f)
		w.establish(g)
		w.age(standard[maps.TCP] + 1)
		for flow := range w.Flows() {
			ticks := uint32(5)
			if flow.Client.Port() == 0 {
				ticks = 3600
			}
			w.lasted(flow, ticks)
		}
		w.mustSweep(t)
		var want maps.Lifetimes
		want[bucketOf(t, 3600)] = 1
		if got := w.lifetimes(blue); got != want {
			t.Errorf("noted %v\nwant  %v", got, want)
		}
	})
}

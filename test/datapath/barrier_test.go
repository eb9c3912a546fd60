package datapath

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/maps"
)

// slowPin is a build whose packets linger between reading the steer word and publishing their pin.
var slowPin = options{flows: 1000, testBuild: true, leaveOut: bpftest.ProgramRuleSTALL_PUBLISH, stall: 1 << 19}

// barrier waits for the packets under way.
type barrier struct {
	name string
	wait func(*world) error
}

// none is what is left when the barrier is taken out.
var none = barrier{"none", func(*world) error { return nil }}

// barriers are the daemon's, and the part of it that serves alone where membarrier is refused.
var barriers = []barrier{
	{"the daemon's", func(w *world) error {
		_, err := (&loader.Plane{Tables: w.Tables}).Barrier()
		return err
	}},
	{"a grace period", func(w *world) error { return w.GracePeriod() }},
}

// A packet that has read which generation is live and has not yet published its pin, while the daemon flips. After the
// store alone, a new session appears on the old generation; after the store and the barrier none does.
func TestTheBarrierMakesAFlipsProofExact(t *testing.T) {
	for _, b := range append(barriers, none) {
		t.Run(b.name, func(t *testing.T) {
			w := mustWorld(t, slowPin, 1)
			rounds, late := uint16(20), uint64(0)
			if b.name == none.name {
				rounds = 400 // until one goes wrong: what has to be met is a moment
			}
			for round := range rounds {
				if late += w.flipUnder(gamePacket(maps.IPv4, syn).at(round), b); late > 0 {
					break
				}
			}
			if b.name != none.name && late != 0 {
				t.Errorf("%d new sessions on blue after the flip had returned", late)
			}
			if b.name == none.name && late == 0 {
				t.Error("nothing went wrong: the stall no longer stalls")
			}
		})
	}
}

// flipUnder flips while a SYN is between reading live and publishing. It returns how many new sessions the old
// generation got after the flip had returned.
func (w *world) flipUnder(f frame, b barrier) uint64 {
	w.tb.Helper()
	w.SetSteer(game, maps.Steer{Live: blue})
	var returned maps.Counters
	w.beside(f, func() (err error) {
		w.flip(green)
		if err = b.wait(w); err == nil {
			returned, err = w.Counters(blue)
		}
		return err
	})
	after, err := w.Counters(blue)
	w.must(err)
	return after.New - returned.New
}

// beside sends a packet on one CPU, and acts on another when it lingers between its claim and its pin, or is through. On the
// packet's own CPU that would come when it is through, for nothing interrupts its run. act does not end the test: it is not the
// test's goroutine.
func (w *world) beside(f frame, act func() error) {
	w.tb.Helper()
	sent, acted := make(chan error, 1), make(chan error, 1)
	go func() { sent <- onCPU(1, func(int) error { return w.pass(f) }) }()
	go func() {
		acted <- onCPU(0, func(int) error {
			for !w.claimed() && len(sent) == 0 {
			}
			return act()
		})
	}()
	w.must(errors.Join(<-acted, <-sent))
}

// pass gives the program a packet, wherever that goes.
func (w *world) pass(f frame) error {
	in := f.bytes()
	_, err := w.program.Run(&ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+64)})
	return err
}

// claimed says whether a packet is between its claim and its pin.
func (w *world) claimed() bool {
	for _, f := range maps.Families() {
		for slot := range w.SlotCount(f) {
			if w.Meta(f, slot).State() == maps.Claimed {
				return true
			}
		}
	}
	return false
}

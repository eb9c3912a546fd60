package datapath

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
)

// A packet that has read which generation is live and has not yet published its pin, while the daemon flips. After the
// store alone, a new session appears on the old generation; after the store and the barrier none does.
func TestTheBarrierMakesAFlipsProofExact(t *testing.T) {
	stalled := options{flows: 1000, testBuild: true, leaveOut: bpftest.ProgramRuleSTALL_PUBLISH, stall: 1 << 19}
	for _, barrier := range []bool{true, false} {
		w := mustWorld(t, stalled, 1)
		late := uint64(0)
		for round := range uint16(20) {
			late += w.flipUnder(gamePacket(maps.IPv4, syn).at(round), barrier)
		}
		if barrier && late != 0 {
			t.Errorf("with the barrier, %d new sessions on blue after the flip had returned", late)
		}
		if !barrier && late == 0 {
			t.Error("without the barrier nothing went wrong: the stall no longer stalls")
		}
	}
}

// flipUnder flips while a SYN is between reading live and publishing. It returns how many new sessions the old
// generation got after the flip had returned.
func (w *world) flipUnder(f frame, barrier bool) uint64 {
	w.tb.Helper()
	w.SetSteer(game, maps.Steer{Live: blue})
	done := make(chan error, 1)
	go func() { done <- onCPU(1, func(int) error { w.run(w.tb, f.bytes()); return nil }) }()
	for !w.claimed() {
		select {
		case err := <-done:
			w.must(err)
			return 0 // it was faster than we could look
		default:
		}
	}
	w.flip(green)
	if barrier {
		w.must(membarrier())
	}
	returned, err := w.Counters(blue)
	w.must(err)
	w.must(<-done)
	after, err := w.Counters(blue)
	w.must(err)
	return after.New - returned.New
}

// claimed says whether a packet is between its claim and its pin.
func (w *world) claimed() bool {
	for slot := range w.SlotCount(maps.IPv4) {
		if w.Meta(maps.IPv4, slot).State() == maps.Claimed {
			return true
		}
	}
	return false
}

// membarrier is MEMBARRIER_CMD_GLOBAL: it returns after a grace period.
func membarrier() error {
	const global = 1
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

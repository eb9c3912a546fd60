package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/ebbtide/ebbtide/maps"
)

// beside is a run over the game's flow while another CPU forwards packets too.
func (b *bench) beside(other []byte) func() (float64, error) {
	return func() (float64, error) {
		if err := b.hot.holdBoth(gamePacket, other); err != nil {
			return 0, err
		}
		var stop, begun atomic.Bool
		done := make(chan error)
		go func() { done <- b.keepRunning(other, &begun, &stop) }()
		for !begun.Load() {
			runtime.Gosched()
		}
		ns, err := b.hot.packets("dsr", gamePacket, b.repeats, tx)()
		stop.Store(true)
		return ns, errors.Join(err, <-done)
	}
}

// holdBoth pins the flows of two packets, established.
func (p *plane) holdBoth(frame, other []byte) error {
	if err := p.hold(frame, 1); err != nil {
		return err
	}
	if _, err := callerClock(p.coll.Programs["ebbtide"], other, 1, tx); err != nil {
		return err
	}
	if n := p.establish(); n == 0 || n > 2 {
		return fmt.Errorf("%d flows are pinned in the table of %d slots, not one or two", n, p.SlotCount(maps.IPv4))
	}
	return nil
}

// keepRunning forwards packets on the CPU that does not measure. Its thread ends with it.
func (b *bench) keepRunning(frame []byte, begun, stop *atomic.Bool) error {
	defer begun.Store(true)
	runtime.LockOSThread()
	if err := pinTo(b.other); err != nil {
		return err
	}
	for !stop.Load() {
		begun.Store(true)
		if _, err := callerClock(b.hot.coll.Programs["dsr"], frame, b.repeats/10, tx); err != nil {
			return err
		}
	}
	return nil
}

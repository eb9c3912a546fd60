package datapath

import (
	"fmt"
	"sync/atomic"

	"github.com/ebbtide/ebbtide/maps"
)

// watched reads the table over and over, and sweeps it, until the function that it returns is called: these flows,
// which nothing ends meanwhile, are in each dump, as they were, and no sweep counts fewer.
func (w *world) watched(flows map[key]maps.Flow) (done func()) {
	w.tb.Helper()
	var stop atomic.Bool
	result, begun := make(chan error, 1), make(chan struct{})
	go func() {
		var err error
		for first := true; err == nil && (first || !stop.Load()); first = false {
			if err = w.dumped(flows); err == nil {
				err = w.swept(flows)
			}
			if first {
				close(begun)
			}
		}
		result <- err
	}()
	<-begun
	return func() {
		w.tb.Helper()
		stop.Store(true)
		if err := <-result; err != nil {
			w.tb.Error("beside the packets: ", err)
		}
	}
}

func (w *world) dumped(want map[key]maps.Flow) error {
	found := 0
	for f := range w.Flows() {
		old, known := want[key{f.Client, f.Port, f.VIP}]
		if known && f != old {
			return fmt.Errorf("a dump has %+v, it was %+v", f, old)
		}
		if known {
			found++
		}
	}
	if found != len(want) {
		return fmt.Errorf("a dump has %d of %d established flows", found, len(want))
	}
	return nil
}

func (w *world) swept(want map[key]maps.Flow) error {
	sweep, err := w.RunSweep(w.sweeper)
	if err != nil {
		return err
	}
	established := uint64(0)
	for _, states := range sweep.Sessions {
		established += uint64(states[maps.Established])
	}
	if established != uint64(len(want)) || sweep.Tables[0].Freed+sweep.Tables[1].Freed != 0 {
		return fmt.Errorf("a sweep counts %d of %d established flows: %+v", established, len(want), sweep)
	}
	return nil
}

// checkTotals: beside the flows that there were, each session that was begun is there or was replaced, which was
// counted; and a sweep counts what a walk finds.
func (w *world) checkTotals(before int, moved moves) {
	w.tb.Helper()
	begun := uint64(before)
	for _, name := range generations {
		begun += moved[name+".new"] + moved[name+".orphans"]
	}
	replaced := moved["event_replaced_closing"] + moved["event_replaced_half_open"] + moved["event_replaced_young"]
	if n := uint64(len(w.pins())); n != begun-replaced {
		w.tb.Errorf("%d flows, but %d were begun and %d of them replaced", n, begun, replaced)
	}
	w.compareSweep(0)
}

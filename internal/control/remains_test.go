package control

import (
	"testing"
	"time"

	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// A walk looks at all of few sessions, and at a part of many that stands for all; what has expired and what is another
// generation's is none of them.
func TestWhatIsLeftIsLookedAtInAWalk(t *testing.T) {
	for _, flows := range []int{1000, 60_000} {
		im := mustBuild(t, twoServices())
		tables := mapstest.Tables(t, uint32(flows), 1024)
		left := uint64(0)
		mapstest.Fill4(t, tables, uint32(flows), flows, func(i int) kernel.Meta {
			service := uint16(lobby + i%2)
			state, seen := kernel.Established, uint32(now)
			switch {
			case i%10 == 1:
				state = kernel.Closing
			case i%100 == 3:
				seen = now - 61
			}
			if service == world && seen == now {
				left++
			}
			return mapstest.Meta(state, service, (service-1)*backendsOfOne+1+uint16(i/2%backendsOfOne), seen)
		})
		g := im.Backends[backendsOfOne+1].Generation
		r := newRemains(im, g, left, time.Second)
		piece := func(read func(uint32)) error { read(now); return nil }
		if err := walkRemains(t.Context(), im, map[uint16]*remains{g: r}, tables, piece); err != nil {
			t.Fatal(err)
		}
		living := 0.0
		for _, a := range r.living() {
			living += a.N
		}
		rest := r.sum()
		// Of ten of a service two are closing: one of five. A sample is off by less than a tenth.
		wantLiving := float64(left) * 0.8
		exact := r.stride == 1
		if exact != (flows == 1000) || r.looked > mostLooked || exact && r.looked != left {
			t.Errorf("of %d it looked at %d, each %d-th", left, r.looked, r.stride)
		}
		if off := living/wantLiving - 1; off < -0.1 || off > 0.1 {
			t.Errorf("of %d left %v live, want about %v", left, living, wantLiving)
		}
		if got := float64(rest.Lingering) / float64(left); got < 0.18 || got > 0.22 {
			t.Errorf("%.2f of them linger, want 0.2", got)
		}
		if len(rest.Clients) != mostClients || r.ending == 0 {
			t.Errorf("%d clients are named; the last ended one is gone in %s", len(rest.Clients), r.ending)
		}
	}
}

package image

import (
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	kernel "github.com/ebbtide/ebbtide/maps"
)

func TestNewFlowsASecondBecomeNewFlowsATick(t *testing.T) {
	ticks := func(d time.Duration) uint32 { return uint32(d / (1024 * time.Millisecond)) }
	n := config.NewFlows{Rate: 100, Burst: 7, IPv4: 24, IPv6: 56}
	want := kernel.NewFlows{Rate: 102, Burst: 7, Bits: [2]uint8{24, 56}}
	if got := newFlowsOf(n, ticks); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := newFlowsOf(config.NewFlows{IPv4: 24}, ticks); got != (kernel.NewFlows{}) {
		t.Errorf("no limit is %+v", got)
	}
	if got := newFlowsOf(config.NewFlows{Rate: 1}, func(d time.Duration) uint32 { return uint32(d / (640 * time.Millisecond)) }).Rate; got != 1 {
		t.Errorf("1 a second is %d a tick", got)
	}
}

func TestAShareOfHalfOpenFlowsIsKeptTo(t *testing.T) {
	for percent, want := range map[int]uint8{0: 0, 15: 1, 22: 1, 23: 2, 25: 2, 28: 3, 50: 5, 99: 14, 100: 0} {
		if got := halfOpenOf(percent); got != want {
			t.Errorf("%d%% is %d in %d, want %d", percent, got, kernel.FlowPlaces, want)
		}
	}
}

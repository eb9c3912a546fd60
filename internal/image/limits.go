package image

import (
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// newFlowsOf turns a rate a second into one a tick, at least one.
func newFlowsOf(n config.NewFlows, ticks func(time.Duration) uint32) (out kernel.NewFlows) {
	if n.Rate == 0 {
		return out
	}
	const long = 1000 // seconds: a tick is not quite one
	inLong := uint64(ticks(long * time.Second))
	out.Rate = max(1, uint32((uint64(n.Rate)*long+inLong/2)/inLong))
	out.Burst = n.Burst
	out.Bits = [2]uint8{kernel.IPv4: uint8(n.IPv4), kernel.IPv6: uint8(n.IPv6)}
	return out
}

// reached is how much of the table, in percent, half-open flows take at most in an endless flood when so many of them may
// be among the places that one may take: one at the first index. A flow sees its own places only, so that is more than the
// same share of those. The figures are those of a simulation of how flows are placed, in the worst of tables that are empty
// to half full of established flows.
var reached = [...]int{13, 23, 28, 40, 45, 52, 58, 64, 69, 72, 76, 80, 88, 92}

// halfOpenOf is how many half-open flows keep to a share of the table, one at least; 0 for no bound.
func halfOpenOf(percent int) uint8 {
	if percent == 0 || percent == 100 {
		return 0
	}
	n := uint8(1)
	for i, most := range reached {
		if most <= percent {
			n = uint8(i + 1)
		}
	}
	return n
}

package loader

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
)

// Ticks is the data plane's coarse clock: jiffies shifted right, about a second each.
type Ticks struct {
	hz    uint32
	shift uint32
}

// ErrNoTicks says that CONFIG_HZ could not be told from the clocks.
var ErrNoTicks = errors.New("the kernel's tick rate is not one of 100, 250, 300 and 1000 Hz")

// initialJiffiesSeconds: the kernel starts jiffies at the 32-bit value of -300*HZ (INITIAL_JIFFIES in linux/jiffies.h),
// so that an overflow shows within five minutes of boot.
const initialJiffiesSeconds = 300

// SampleTicks asks the kernel for jiffies and its monotonic clock, which started together, and concludes CONFIG_HZ.
func SampleTicks(spec *ebpf.CollectionSpec) (Ticks, error) {
	only := spec.Copy()
	only.Maps = nil
	only.Programs = map[string]*ebpf.ProgramSpec{"sample_ticks": only.Programs["sample_ticks"]}
	only.Variables = nil
	coll, err := ebpf.NewCollection(only)
	if err != nil {
		return Ticks{}, fmt.Errorf("load the clock sampler: %w", err)
	}
	defer coll.Close()
	var sample bpf.ProgramTickSample
	if _, err := coll.Programs["sample_ticks"].Run(&ebpf.RunOptions{Context: &sample, ContextOut: &sample}); err != nil {
		return Ticks{}, fmt.Errorf("run the clock sampler: %w", err)
	}
	return ticksFrom(sample.Jiffies, time.Duration(sample.BootNs))
}

func ticksFrom(jiffies uint64, sinceBoot time.Duration) (Ticks, error) {
	best, distance := uint32(0), math.Inf(1)
	for _, hz := range []uint32{100, 250, 300, 1000} {
		start := float64(uint32(-initialJiffiesSeconds * int64(hz)))
		seconds := (float64(jiffies) - start) / float64(hz)
		if d := math.Abs(seconds - sinceBoot.Seconds()); d < distance {
			best, distance = hz, d
		}
	}
	if distance > 10 {
		return Ticks{}, fmt.Errorf("jiffies %d at %v since boot: %w", jiffies, sinceBoot, ErrNoTicks)
	}
	return Ticks{hz: best, shift: uint32(bits.Len32(best) - 1 + roundUp(best))}, nil
}

// roundUp picks the power of two nearer to hz, by ratio: 250 and 300 take 256, 1000 takes 1024, 100 takes 128.
func roundUp(hz uint32) int {
	low := uint32(1) << (bits.Len32(hz) - 1)
	if float64(hz)/float64(low) > math.Sqrt2 {
		return 1
	}
	return 0
}

// Length of one tick.
func (t Ticks) Length() time.Duration {
	return time.Duration(float64(uint32(1)<<t.shift) / float64(t.hz) * float64(time.Second))
}

// Rate is how many of something a second there are in a tick, at least one.
func (t Ticks) Rate(second float64) uint32 {
	return max(1, uint32(math.Round(second*t.Length().Seconds())))
}

// Of rounds a duration up to whole ticks, at least one.
func (t Ticks) Of(d time.Duration) uint32 {
	return max(1, uint32(math.Ceil(float64(d)/float64(t.Length()))))
}

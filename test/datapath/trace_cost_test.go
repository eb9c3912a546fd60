package datapath

import (
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/loader/trace"
	"github.com/ebbtide/ebbtide/maps"
)

// BenchmarkTrace says what an established packet in dsr costs, in nanoseconds of CPU: by the program before a trace, by
// the tracer of another client, of this one beyond the rate and within it, and by the program after. Each figure is the
// median of interleaved rounds. What is traced goes into the ring, which is emptied before it is full.
func BenchmarkTrace(b *testing.B) {
	const rounds, repeats, ring = 9, 400_000, 1500
	w := mustWorld(b, options{flows: 1000}, 1)
	// The packet that comes out is the one that went in: a run hands the same frame to every repeat.
	w.SetHop(maps.IPv4, 11, maps.Hop{IfIndex: inside, SrcMAC: routerMAC, DstMAC: hostMAC})
	in := gamePacket(maps.IPv4, syn)
	w.send(in)
	in = in.flagged(ack)
	w.force(in, maps.Established, 0)
	this, other := netip.PrefixFrom(client4, 32), netip.MustParsePrefix("198.51.100.99/32")
	traced := mustTrace(b, w.plane, trace.Options{Client: this, Rate: 1 << 30})
	programs := []struct {
		name    string
		program *ebpf.Program
	}{
		{"before", w.program},
		{"another-client", mustTrace(b, w.plane, trace.Options{Client: other}).Program()},
		{"over-the-rate", mustTrace(b, w.plane, trace.Options{Client: this, Rate: 1}).Program()},
		{"after", w.program},
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		took := make([][]float64, len(programs))
		var recorded []float64
		for range rounds {
			_, mean, err := traced.Program().Benchmark(in.bytes(), ring, nil)
			if n := len(mustDrain(b, traced)); err != nil || n != ring {
				b.Fatalf("%d of %d packets traced, %v", n, ring, err)
			}
			recorded = append(recorded, float64(mean))
			for i, p := range programs {
				begin := threadTime()
				if ret, _, err := p.program.Benchmark(in.bytes(), repeats, func() { begin = threadTime() }); err != nil || verdict(ret) != tx {
					b.Fatalf("%s: verdict %d, %v", p.name, ret, err)
				}
				took[i] = append(took[i], float64(threadTime()-begin)/repeats)
			}
		}
		for i, p := range programs {
			slices.Sort(took[i])
			b.ReportMetric(took[i][rounds/2], p.name+"-ns")
		}
		slices.Sort(recorded)
		b.ReportMetric(recorded[rounds/2], "traced-ns")
	}
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // no kernel refuses it
	}
	return time.Duration(t.Nano())
}

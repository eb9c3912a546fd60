package main

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// verdict is an XDP action.
type verdict uint32

const (
	pass verdict = 2
	tx   verdict = 3
)

// clock runs a program over and over and returns the nanoseconds of one repeat. The last verdict must be the one
// expected.
type clock func(program *ebpf.Program, frame []byte, repeat uint32, want verdict) (float64, error)

// callerClock takes the CPU time that the thread spends in the call, to fractions of a nanosecond: what else the machine
// does meanwhile is not in it. The call itself costs some tenths of a millisecond, so it takes a million repeats.
func callerClock(program *ebpf.Program, frame []byte, repeat uint32, want verdict) (float64, error) {
	begin := threadTime()
	got, _, err := program.Benchmark(frame, int(repeat), func() { begin = threadTime() })
	elapsed := threadTime() - begin
	return float64(elapsed) / float64(repeat), judge(program, got, want, err)
}

// threadTime is the CPU time of the calling thread, which main pins.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(fmt.Sprintf("read the thread's CPU time: %v", err)) // no kernel refuses it
	}
	return time.Duration(t.Nano())
}

// kernelClock takes the kernel's mean of the repeats, in whole nanoseconds, without the call: for short runs.
func kernelClock(program *ebpf.Program, frame []byte, repeat uint32, want verdict) (float64, error) {
	got, mean, err := program.Benchmark(frame, int(repeat), nil)
	return float64(mean), judge(program, got, want, err)
}

func judge(program *ebpf.Program, got uint32, want verdict, err error) error {
	if err != nil {
		return fmt.Errorf("run %v: %w", program, err)
	}
	if verdict(got) != want {
		return fmt.Errorf("run %v: verdict %d, not %d", program, got, want)
	}
	return nil
}

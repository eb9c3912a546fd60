package datapath

import (
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// onTwoCPUs runs something on CPU 0 and on CPU 1 at the same time, each on a thread of its own that ends with it.
func onTwoCPUs(tb testing.TB, do func(cpu int) error) {
	tb.Helper()
	if runtime.NumCPU() < 2 {
		tb.Fatal("this test needs two CPUs")
	}
	var done sync.WaitGroup
	errs := make([]error, 2)
	for cpu := range errs {
		done.Go(func() { errs[cpu] = onCPU(cpu, do) })
	}
	done.Wait()
	for _, err := range errs {
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// onCPU never unlocks its thread: the runtime ends it, and its affinity with it.
func onCPU(cpu int, do func(cpu int) error) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	return do(cpu)
}

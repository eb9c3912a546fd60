// Command bench measures what a packet costs in the data plane, as a ratio to the floor: the least that a program does
// that sends a packet on. It prints a table and writes bench.json. docs/performance.md explains the method.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		if errors.Is(err, unix.EPERM) {
			fmt.Fprintln(os.Stderr, "bench: it loads BPF programs: run it as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
		}
		os.Exit(1)
	}
}

func run() error {
	if err := pinThread(); err != nil {
		return err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift the memlock limit: %w", err)
	}
	b, err := newBench()
	if err != nil {
		return err
	}
	defer b.close()
	figures, err := b.measure()
	if err != nil {
		return err
	}
	printFigures(os.Stdout, figures)
	if err := writeFigures("bench.json", figures); err != nil {
		return err
	}
	return printShipped(os.Stdout)
}

// pinThread keeps the measuring on one CPU, the last that it may use, and the garbage collector out of it: its signals
// make the kernel begin a run anew.
func pinThread() error {
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("read the CPUs that may be used: %w", err)
	}
	last := 0
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			last = cpu
		}
	}
	var one unix.CPUSet
	one.Set(last)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin the thread to CPU %d: %w", last, err)
	}
	return nil
}

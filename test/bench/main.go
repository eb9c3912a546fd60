// Command bench measures what a packet costs in the data plane, as a ratio to the floor: the least that a program does
// that sends a packet on. It prints a table and writes bench.json. docs/performance.md explains the method.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/test/host"
)

func main() {
	host.Child() // the daemon that is flipped is this executable
	docs := flag.String("docs", "", "put the figures in bench.json into the documentation in this directory, and measure nothing")
	flag.Parse()
	measure := run
	if *docs != "" {
		measure = func() error { return writeDocs(figuresFile, *docs) }
	}
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		if errors.Is(err, unix.EPERM) {
			fmt.Fprintln(os.Stderr, "bench: it loads BPF programs and makes network namespaces: run it as root")
		}
		os.Exit(1)
	}
}

func run() error {
	other, err := pinThread()
	if err != nil {
		return err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift the memlock limit: %w", err)
	}
	b, err := newBench(full, other)
	if err != nil {
		return err
	}
	defer b.close()
	figures, err := b.measure()
	if err != nil {
		return err
	}
	printFigures(os.Stdout, figures)
	if err := writeFigures(figuresFile, figures); err != nil {
		return err
	}
	return printShipped(os.Stdout)
}

// pinThread keeps the measuring on one CPU, the last that it may use, and the garbage collector out of it: its signals
// make the kernel begin a run anew. It returns the first CPU that it may use, which something else can run on.
func pinThread() (other int, err error) {
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return 0, fmt.Errorf("read the CPUs that may be used: %w", err)
	}
	var cpus []int
	for cpu := range len(allowed) * 64 {
		if allowed.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus[0], pinTo(cpus[len(cpus)-1])
}

// pinTo keeps the thread on a CPU.
func pinTo(cpu int) error {
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin the thread to CPU %d: %w", cpu, err)
	}
	return nil
}

// Command kernels runs the tests of the data plane on the kernels that ebbtide is built for, beside the one that runs
// here: it takes Debian's, boots each in QEMU with the test binaries as its only user space, and reports what they say.
// The virtual machines have no network. It needs root, to let apt install QEMU and fetch the kernels.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// cache holds kernels and initial ram disks; `make clean` removes it.
const cache = "bin/kernels"

// patience bounds one kernel's run, under software emulation on a slow machine.
const patience = 20 * time.Minute

// series are the kernels: the oldest that is promised, and the long-term one after it.
var series = []string{"6.1", "6.12"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("make room for kernels: %w", err)
	}
	debian, err := newArchive(filepath.Join(cache, "apt"))
	if err != nil {
		return err
	}
	bundle, err := buildTests(ctx, filepath.Join(cache, "tests"))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range series {
		kernel, err := debian.fetch(ctx, s)
		if err != nil {
			return fmt.Errorf("fetch a %s kernel: %w", s, err)
		}
		group.Go(func() error { return kernel.test(ctx, bundle) })
	}
	return group.Wait()
}

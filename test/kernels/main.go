// Command kernels runs the tests of the data plane on the kernels that ebbtide is built for, beside the one that runs
// here: it takes Debian's, boots each in QEMU with the test binaries as its only user space, and reports what they say.
// The virtual machines have no network. It needs root, to let apt install QEMU and fetch the kernels.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// cache holds kernels and initial ram disks; `make clean` removes it.
const cache = "bin/kernels"

// patience bounds one kernel's run, under software emulation on a machine that has other things to do.
const patience = 30 * time.Minute

// series are the kernels: the oldest that is promised, and the long-term one after it.
var series = []string{"6.1", "6.12"}

func main() {
	only := flag.String("kernel", "", "run on this kernel only, such as 6.1")
	name := flag.String("suite", "", "run this suite only, such as datapath; with - before it, all but this one")
	pattern := flag.String("run", "", "run only tests that match, also those that are left out otherwise")
	arch := flag.String("arch", "amd64", "architecture to emulate: amd64 or arm64")
	slowest := flag.Int("slowest", 0, "show how long so many tests took")
	update := flag.Bool("update", false, "record how many instructions the verifiers look at")
	flag.Parse()
	kernels, suites, err := chosen(*only, *name, *pattern)
	m, known := machines[*arch]
	if err == nil && !known {
		err = fmt.Errorf("no architecture %q: there are amd64 and arm64", *arch)
	}
	if err == nil {
		if m.arch != recordedArch && *pattern == "" {
			suites = onForeign(suites)
		}
		err = run(kernels, suites, m, *slowest, *update)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

// chosen are the kernels and suites that were asked for.
func chosen(only, name, pattern string) ([]string, []suite, error) {
	kernels := slices.DeleteFunc(slices.Clone(series), func(s string) bool { return only != "" && s != only })
	one, allBut := strings.CutPrefix(name, "-")
	suites := slices.DeleteFunc(slices.Clone(testSuites), func(s suite) bool { return name != "" && (s.name == one) == allBut })
	if len(kernels) == 0 || len(suites) == 0 {
		return nil, nil, fmt.Errorf("no kernel %q or no suite %q: there are %s", only, name, strings.Join(series, " and "))
	}
	if pattern != "" {
		for i, s := range suites {
			suites[i].args = append(slices.DeleteFunc(slices.Clone(s.args), isSkip), "-test.run="+pattern)
		}
	}
	return kernels, suites, nil
}

// onForeign are the suites of a machine that is not this one's kind.
func onForeign(suites []suite) []suite {
	for i, s := range suites {
		if s.name == "datapath" {
			suites[i].args = append(slices.DeleteFunc(slices.Clone(s.args), isSkip), "-test.run=^Test("+strings.Join(foreignDatapath, "|")+")$")
		}
	}
	return suites
}

func isSkip(arg string) bool { return strings.HasPrefix(arg, "-test.skip=") }

func run(kernels []string, suites []suite, m machine, slowest int, update bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	under := m.cache()
	if err := os.MkdirAll(under, 0o755); err != nil {
		return fmt.Errorf("make room for kernels: %w", err)
	}
	debian, err := newArchive(filepath.Join(under, "apt"), m)
	if err != nil {
		return err
	}
	bundle, err := buildTests(ctx, filepath.Join(under, "tests"), suites, m)
	if err != nil {
		return err
	}
	outcomes := make([]*outcome, len(kernels))
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range kernels {
		kernel, err := debian.fetch(ctx, s)
		if err != nil {
			return fmt.Errorf("fetch a %s kernel: %w", s, err)
		}
		group.Go(func() error {
			o, err := kernel.test(ctx, bundle, suites)
			if err != nil {
				return err
			}
			outcomes[i] = o
			kernel.report(o, slowest)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if m.arch != recordedArch {
		return nil
	}
	return compareVerified(kernels, outcomes, update)
}

// report says what the tests found.
func (k *kernel) report(o *outcome, slowest int) {
	var b strings.Builder
	fmt.Fprintf(&b, "linux %s, %s: %s: all tests passed in %.0f s, %.0f s of CPU\n", k.series, k.machine.arch,
		strings.TrimPrefix(filepath.Base(k.image), "vmlinuz-"), o.wall.Seconds(), o.cpu.Seconds())
	for _, f := range o.figures {
		fmt.Fprintf(&b, "linux %s: %s\n", k.series, f)
	}
	for _, t := range o.slowest(slowest) {
		fmt.Fprintf(&b, "linux %s: %6.1f s %s\n", k.series, t.seconds, t.test)
	}
	fmt.Print(b.String())
}

// compareVerified shows what the verifiers looked at, and whether it grew.
func compareVerified(kernels []string, outcomes []*outcome, update bool) error {
	had, err := readVerified(verifiedFile)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(outcomes, func(o *outcome) bool { return len(o.verified) == 0 }) {
		return nil // the suite did not run
	}
	now := had.with(kernels, outcomes)
	fmt.Print(now.beside(had))
	if update {
		return now.write(verifiedFile)
	}
	if grown := now.grown(had); len(grown) != 0 {
		return errors.New("the verifier has more to look at than " + verifiedFile + " says: " + strings.Join(grown, ", ") +
			"; when that is meant, record it: go run ./test/kernels -suite bpf -update")
	}
	return nil
}

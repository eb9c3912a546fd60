package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// outcome is what the tests said on a kernel's console.
type outcome struct {
	passed   int            // suites
	failed   []string       // suites, or what kept init from running them
	figures  []string       // what tests report
	verified map[string]int // instructions that the verifier looked at, by program
	took     []took
	cpu      time.Duration // QEMU's
	wall     time.Duration

	trapped  bool // the kernel met a breakpoint, and the console says next where
	emulated bool // that was in code of its own: a fault of the emulator
}

// took is how long a test took.
type took struct {
	test    string
	seconds float64
}

var (
	// marked is what the guest's init says.
	marked = regexp.MustCompile(`^` + mark + `(passed )?(.*)`)
	// figure is what a test logs for the reader.
	figure = regexp.MustCompile(`^\s+\S+_test\.go:\d+: figures: (.*)`)
	// counted is what TestEveryProgramLoadsWithEveryConfiguration logs, below the name of the configuration.
	counted = regexp.MustCompile(`: program (\w+): (\d+) instructions verified`)
	running = regexp.MustCompile(`^=== (?:RUN|NAME) +(\S+)`)
	// trap is what a kernel says of a breakpoint that nobody is there for. Multi-threaded TCG makes such: a kernel puts one
	// over an instruction while it changes it, and an emulated CPU may execute it when it is long gone.
	trap  = regexp.MustCompile(`\bint3: 0000 \[#`)
	at    = regexp.MustCompile(`\bRIP: [0-9a-f]{4}:(\w+)`)
	ended = regexp.MustCompile(`^ *--- \w+: (\S+) \(([0-9.]+)s\)`)
)

// recorded is the configuration whose verification is recorded: the one that runs on x86.
const recorded = "/shipped_build,_weak_order_0,_previous_0"

// follow reads a console to its end, and keeps it.
func follow(console io.Reader, log string) (*outcome, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	o, test := &outcome{verified: map[string]int{}}, ""
	lines := bufio.NewScanner(io.TeeReader(console, f))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if m := running.FindStringSubmatch(line); m != nil {
			test = m[1]
		}
		o.hear(line, test)
	}
	return o, lines.Err()
}

// hear takes in what a test said.
func (o *outcome) hear(line, test string) {
	if m := marked.FindStringSubmatch(line); m != nil && m[1] != "" {
		o.passed++
	} else if m != nil {
		o.failed = append(o.failed, m[2])
	}
	if m := figure.FindStringSubmatch(line); m != nil {
		o.figures = append(o.figures, m[1])
	}
	if m := counted.FindStringSubmatch(line); m != nil && strings.HasSuffix(test, recorded) {
		o.verified[m[1]], _ = strconv.Atoi(m[2])
	}
	if trap.MatchString(line) {
		o.trapped = true
	}
	if m := at.FindStringSubmatch(line); m != nil && o.trapped {
		o.trapped, o.emulated = false, o.emulated || !strings.HasPrefix(m[1], "bpf_")
	}
	if m := ended.FindStringSubmatch(line); m != nil {
		seconds, _ := strconv.ParseFloat(m[2], 64)
		o.took = append(o.took, took{m[1], seconds})
	}
}

// errEmulator is what no kernel on a CPU would do: it is booted again.
var errEmulator = errors.New("a kernel that the emulator let execute a breakpoint that it had taken out")

func (o *outcome) verdict(suites int) error {
	if len(o.failed) == 0 && o.passed == suites {
		return nil
	}
	if o.emulated {
		return errEmulator
	}
	return fmt.Errorf("%d of %d suites passed: %w", o.passed, suites, errors.New(strings.Join(o.failed, "; ")))
}

// slowest gives the tests that took longest, without their parts.
func (o *outcome) slowest(n int) []took {
	whole := slices.DeleteFunc(slices.Clone(o.took), func(t took) bool { return strings.Contains(t.test, "/") })
	slices.SortFunc(whole, func(a, b took) int { return cmp.Compare(b.seconds, a.seconds) })
	return whole[:min(n, len(whole))]
}

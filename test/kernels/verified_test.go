package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const console = `SeaBIOS
=== RUN   TestEveryProgramLoadsWithEveryConfiguration
=== RUN   TestEveryProgramLoadsWithEveryConfiguration/shipped_build,_weak_order_0,_previous_0
    object_test.go:31: program sweep: 1000 instructions verified
=== RUN   TestEveryProgramLoadsWithEveryConfiguration/shipped_build,_weak_order_0,_previous_1
    object_test.go:31: program sweep: 7777 instructions verified
--- PASS: TestEveryProgramLoadsWithEveryConfiguration (8.50s)
    --- PASS: TestEveryProgramLoadsWithEveryConfiguration/shipped_build,_weak_order_0,_previous_0 (4.25s)
PASS
ebbtide-tests: passed 00-bpf
=== RUN   TestPlayersTalkThroughAFlip
    flip_test.go:36: figures: 120 flows steered
--- FAIL: TestPlayersTalkThroughAFlip (9.00s)
ebbtide-tests: 01-tunnel failed: exit status 1
`

func mustFollow(t *testing.T) *outcome {
	t.Helper()
	o, err := follow(strings.NewReader(strings.ReplaceAll(console, "\n", "\r\n")), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhatAConsoleSays(t *testing.T) {
	o := mustFollow(t)
	if o.passed != 1 || !slices.Equal(o.failed, []string{"01-tunnel failed: exit status 1"}) || o.verdict(2) == nil {
		t.Errorf("%d passed, failed %q, verdict %v", o.passed, o.failed, o.verdict(2))
	}
	if !slices.Equal(o.figures, []string{"120 flows steered"}) || len(o.verified) != 1 || o.verified["sweep"] != 1000 {
		t.Errorf("figures %q, verified %v", o.figures, o.verified)
	}
	if slow := o.slowest(1); len(slow) != 1 || slow[0] != (took{"TestPlayersTalkThroughAFlip", 9}) {
		t.Errorf("slowest %v", slow)
	}
}

// A console that breaks off is no success.
func TestASuiteThatSaysNothingHasNotPassed(t *testing.T) {
	o := &outcome{passed: 4}
	if o.verdict(5) == nil || o.verdict(4) != nil {
		t.Errorf("verdict of 4 of 5: %v, of 4 of 4: %v", o.verdict(5), o.verdict(4))
	}
}

func TestGrowthOfWhatIsVerifiedIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verified.txt")
	kernels := []string{"6.1"}
	if err := (verified{}).with(kernels, []*outcome{mustFollow(t)}).write(path); err != nil {
		t.Fatal(err)
	}
	had, err := readVerified(path)
	if err != nil || had["sweep"]["6.1"] != 1000 {
		t.Fatalf("read %v: %v", had, err)
	}
	for n, grows := range map[int]int{900: 0, 1000: 0, 1100: 0, 1101: 1} {
		now := had.with(kernels, []*outcome{{verified: map[string]int{"sweep": n}}})
		if grown := now.grown(had); len(grown) != grows {
			t.Errorf("%d after 1000: grown %q", n, grown)
		}
	}
	now := had.with(kernels, []*outcome{{verified: map[string]int{"sweep": 1100, "new": 5}}})
	if grown := now.grown(had); !slices.Equal(grown, []string{"new on 6.1: 5, was 0"}) {
		t.Errorf("a new program: grown %q", grown)
	}
	if shown := now.beside(had); !strings.Contains(shown, "1100 (+10.0%)") {
		t.Errorf("shown\n%s", shown)
	}
}

// The committed table is one.
func TestTheRecordedTableIsRead(t *testing.T) {
	v, err := readVerified("verified.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, kernel := range series {
		if v["ebbtide"][kernel] == 0 {
			t.Errorf("nothing is recorded of the hot program on %s", kernel)
		}
	}
}

// What an emulated kernel oopses at is the emulator's fault where it is a breakpoint in its own code, and ours in ours.
func TestABreakpointInTheKernelsCodeIsTheEmulators(t *testing.T) {
	for _, row := range []struct {
		name, console string
		want          bool
	}{
		{"linux 6.12", "[    1.813156] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\n[    1.8] CPU: 1\n[    1.813680] RIP: 0010:sched_clock_cpu+0x9/0x190\n", true},
		{"linux 6.1", "[    1.8] int3: 0000 [#1] PREEMPT SMP NOPTI\n[    1.8] RIP: 0010:sched_clock_cpu+0x9/0x190\n", true},
		{"a program", "[   91.8] Oops: int3: 0000 [#1]\n[   91.8] RIP: 0010:bpf_prog_3b185187f1855c4c_ebbtide+0x10/0x20\n", false},
		{"another oops", "[   91.8] Oops: general protection fault: 0000 [#1]\n[   91.8] RIP: 0010:sched_clock_cpu+0x9/0x190\n", false},
	} {
		o, err := follow(strings.NewReader(row.console), filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		if err := o.verdict(1); errors.Is(err, errEmulator) != row.want || err == nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// suite is the tests of one package, and which of them.
type suite struct {
	name, pkg string
	args      string // of the test binary
}

// suites of tests: every program with every configuration through the verifier, the maps, and the data plane under
// BPF_PROG_TEST_RUN and on veth. What takes minutes under emulation and does not depend on the kernel runs here only: two
// CPUs that fight for the same lines, floods, rules left out, arithmetic over all values.
var testSuites = []suite{
	{"bpf", "./bpf", ""},
	{"maps", "./maps", ""},
	{"datapath", "./test/datapath", "-test.skip=TwoCPUs|TwoFirst|Without|Barrier|Crowded|AgreesWithTheModel|NoFlood|EveryChecksum|AtEveryLength"},
	{"loader", "./loader", "-test.skip=CutShort|WentAway"},
}

// buildTests builds the test binaries and the init that runs them, static, and returns their directory.
func buildTests(ctx context.Context, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make room for test binaries: %w", err)
	}
	if err := goTool(ctx, "build", "-o", filepath.Join(dir, "init"), "./test/kernels/init"); err != nil {
		return "", err
	}
	for _, s := range testSuites {
		if err := goTool(ctx, "test", "-c", "-o", filepath.Join(dir, s.name+".test"), s.pkg); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func goTool(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w: %s", args, err, out)
	}
	return nil
}

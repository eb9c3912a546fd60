package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// suite is the tests of one package, and which of them.
type suite struct {
	name, pkg string
	args      []string // of the test binary
}

// testSuites are every program with every configuration through the verifier, the maps, the data plane under
// BPF_PROG_TEST_RUN and on veth, the model beside it, and players behind real tunnels and tags.
var testSuites = []suite{
	{name: "bpf", pkg: "./bpf", args: []string{"-test.skip=" + strings.Join(skippedPrograms, "|")}},
	{name: "maps", pkg: "./maps"},
	{name: "datapath", pkg: "./test/datapath", args: []string{"-packets=20000", "-test.skip=" + strings.Join(skippedDatapath, "|")}},
	{name: "loader", pkg: "./loader", args: []string{"-test.skip=" + strings.Join(skippedLoader, "|")}},
	{name: "tunnel", pkg: "./test/tunnel"},
}

// buildTests builds the test binaries and the init that runs them, static, and returns their directory.
func buildTests(ctx context.Context, dir string, suites []suite, m machine) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make room for test binaries: %w", err)
	}
	if err := goTool(ctx, m, "build", "-o", filepath.Join(dir, "init"), "./test/kernels/init"); err != nil {
		return "", err
	}
	for _, s := range suites {
		if err := goTool(ctx, m, "test", "-c", "-o", filepath.Join(dir, s.name+".test"), s.pkg); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func goTool(ctx context.Context, m machine, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+m.arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w: %s", args, err, out)
	}
	return nil
}

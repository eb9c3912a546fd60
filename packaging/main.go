// Command packaging makes what ebbtide is handed out as: .deb, .rpm and .tar.gz for amd64 and arm64, a list of what is in each
// binary (CycloneDX), the documentation, and SHA256SUMS. Two runs at one commit make the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// architectures, as Go and Debian name them. The BPF objects in both are the same: they are built for little-endian machines.
var architectures = []string{"amd64", "arm64"}

// tools is the go.mod of nfpm and cyclonedx-gomod: they need modules by the dozen, which are none of ebbtide's.
const tools = "packaging/tools.mod"

func main() {
	dist := flag.String("dist", "dist", "where to put the packages")
	version := flag.String("version", "", "version of the packages (default: the commit's tag, else from its date)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dist, *version); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dist, version string) error {
	if _, err := os.Stat(tools); err != nil {
		return errors.New("run it in the root of the repository: make package")
	}
	src, err := sourceOf(ctx, version)
	if err != nil {
		return err
	}
	stage, err := os.MkdirTemp("", "ebbtide-package-")
	if err != nil {
		return fmt.Errorf("make room for what goes into the packages: %w", err)
	}
	defer os.RemoveAll(stage)
	if err := os.RemoveAll(dist); err != nil {
		return fmt.Errorf("remove the packages of before: %w", err)
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return fmt.Errorf("make room for packages: %w", err)
	}
	if err := shared(ctx, stage); err != nil {
		return err
	}
	for _, arch := range architectures {
		if err := src.pack(ctx, stage, dist, arch); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	if err := src.pages(stage, dist); err != nil {
		return err
	}
	return sums(dist)
}

// pack makes the packages and the archive of an architecture, and the list of what is in its binary.
func (s source) pack(ctx context.Context, stage, dist, arch string) error {
	binary := filepath.Join(stage, "ebbtide")
	build := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch}
	if err := command(ctx, build, "go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", binary, "./cmd/ebbtide"); err != nil {
		return err
	}
	if err := s.list(ctx, binary, filepath.Join(dist, fmt.Sprintf("ebbtide_%s_%s.cdx.json", s.version, arch))); err != nil {
		return err
	}
	if err := command(ctx, nil, "touch", "--date=@"+s.epoch, binary); err != nil {
		return err
	}
	env := []string{"ARCH=" + arch, "VERSION=" + s.version, "STAGE=" + stage, "SOURCE_DATE_EPOCH=" + s.epoch}
	for _, kind := range []string{"deb", "rpm"} {
		if err := command(ctx, env, "go", "tool", "-modfile="+tools, "nfpm", "package", "--config", "packaging/nfpm.yaml", "--packager", kind, "--target", dist); err != nil {
			return err
		}
	}
	return s.plain(stage, dist, arch)
}

// command runs one of the tools, and shows what it said when it fails.
func command(ctx context.Context, env []string, name string, args ...string) error {
	_, err := output(ctx, env, name, args...)
	return err
}

func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out, complaint.String())
	}
	return strings.TrimSpace(string(out)), nil
}

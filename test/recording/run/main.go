// Command run records `make demo` and writes what the pages show of it: the recording, the screen as it went and the tide.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/ebbtide/ebbtide/test/recording"
)

// The demo's lines fit in.
const (
	width  = 92
	height = 8
)

func main() {
	out := flag.String("out", "docs/demo", "where to write it")
	drawn := flag.String("cast", "", "draw this recording, and record nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	from := func() (recording.Cast, error) { return record(ctx, ".") }
	if *drawn != "" {
		from = func() (recording.Cast, error) { return read(*drawn) }
	}
	if err := run(from, *out); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		stop()
		os.Exit(1)
	}
}

// run writes what is made of a recording.
func run(from func() (recording.Cast, error), out string) error {
	cast, err := from()
	if err != nil {
		return err
	}
	files, err := recording.Make(cast)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("make room for the recording: %w", err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return fmt.Errorf("write the recording: %w", err)
		}
	}
	return nil
}

// record records the demo of the repository whose root this is. A demo that breaks a promise is no recording.
func record(ctx context.Context, root string) (recording.Cast, error) {
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", "demo")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=", "MAKEFLAGS=", "MAKELEVEL=")
	// The demo takes its namespaces away when it is interrupted, and so does what make waits for.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	return recording.Record(cmd, "make demo", width, height)
}

func read(name string) (recording.Cast, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return recording.Cast{}, fmt.Errorf("read the recording: %w", err)
	}
	return recording.ParseCast(data)
}

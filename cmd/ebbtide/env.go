package main

import (
	"context"
	"io"
	"net/netip"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/backend"
	"github.com/ebbtide/ebbtide/internal/control"
	"github.com/ebbtide/ebbtide/internal/doctor"
)

// env is everything that a verb touches besides the daemon's socket.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stdout is one
	errTerminal    bool // stderr is one
	getenv         func(string) string
	now            func() time.Time
	build          func() (*debug.BuildInfo, bool)

	// Daemon runs until ctx ends or it is told to detach.
	Daemon func(ctx context.Context, opts DaemonOptions) error

	// ProbeNet has a probe net until ctx ends.
	ProbeNet func(ctx context.Context, opts ProbeOptions) error

	// Detach takes everything out of the kernel where no daemon runs.
	Detach func(ctx context.Context, bpfDir string) error

	// Examine looks at the host.
	Examine func(ctx context.Context, h doctor.Host) []doctor.Finding

	// ApplySetup makes the host a backend.
	ApplySetup func(steps []backend.Step) error
}

// DaemonOptions are the flags of the daemon.
type DaemonOptions struct {
	Config      string
	StateDir    string
	BPFDir      string
	Socket      string
	SocketGroup string // "": the group of the process
	MetricsAddr string // "": none
	Files       control.Files
	ProbeSocket string // of the probe net
	ForceAttach bool   // replace another owner's program
}

// ProbeOptions are the flags of the probe net.
type ProbeOptions struct {
	Addresses   []netip.Addr
	Interface   string // where backends that answer directly are heard; "": nowhere
	Socket      string
	SocketGroup string // "": the group of the process
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// hostEnv is the env of the process.
func hostEnv() env {
	return env{
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		terminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
		getenv:   os.Getenv,
		now:      time.Now,
		build:    debug.ReadBuildInfo,
		Daemon:   runDaemon,
		ProbeNet: runProbeNet,
		Detach:   detachHost,

		Examine:    examine,
		ApplySetup: backend.Apply,
	}
}

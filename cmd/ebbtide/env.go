package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// env is everything that a verb touches besides the daemon's socket.
type env struct {
	stdout, stderr io.Writer
	terminal       bool // stdout is one
	getenv         func(string) string
	now            func() time.Time
	build          func() (*debug.BuildInfo, bool)

	// Daemon runs until ctx ends or it is told to detach.
	Daemon func(ctx context.Context, opts DaemonOptions) error

	// Detach takes everything out of the kernel where no daemon runs.
	Detach func(ctx context.Context, bpfDir string) error
}

// DaemonOptions are the flags of the daemon.
type DaemonOptions struct {
	Config      string
	StateDir    string
	BPFDir      string
	Socket      string
	SocketGroup string // "": the group of the process
	MetricsAddr string // "": none
	ForceAttach bool   // replace another owner's program
}

// hostEnv is the env of the process.
func hostEnv() env {
	_, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS)
	return env{
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		terminal: err == nil,
		getenv:   os.Getenv,
		now:      time.Now,
		build:    debug.ReadBuildInfo,
		Daemon:   runDaemon,
		Detach:   detachHost,
	}
}

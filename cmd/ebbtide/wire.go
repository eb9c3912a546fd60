package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/ebbtide/ebbtide/internal/daemon"
)

// runDaemon is the daemon on this host.
func runDaemon(ctx context.Context, o DaemonOptions) error {
	return daemon.Run(ctx, daemon.Options{
		Config: o.Config, StateDir: o.StateDir, BPFDir: o.BPFDir, Socket: o.Socket, SocketGroup: o.SocketGroup,
		MetricsAddr: o.MetricsAddr, ForceAttach: o.ForceAttach,
		Version: newVersion(debug.ReadBuildInfo()).Version, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}

// detachHost takes the data plane of this host out of the kernel where no daemon runs.
func detachHost(ctx context.Context, bpfDir string) error { return daemon.Detach(ctx, bpfDir) }

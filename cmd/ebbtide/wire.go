package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/daemon"
	"github.com/ebbtide/ebbtide/internal/probe"
	"github.com/ebbtide/ebbtide/internal/systemd"
)

// runDaemon is the daemon on this host.
func runDaemon(ctx context.Context, o DaemonOptions) error {
	manager, err := systemd.FromEnvironment()
	if err != nil {
		return err
	}
	listener, err := systemd.Socket()
	if err != nil {
		return err
	}
	return daemon.Run(ctx, daemon.Options{
		Config: o.Config, StateDir: o.StateDir, BPFDir: o.BPFDir, Socket: o.Socket, SocketGroup: o.SocketGroup,
		Listener: listener, Manager: manager, MetricsAddr: o.MetricsAddr, Files: o.Files, ProbeSocket: o.ProbeSocket,
		ForceAttach: o.ForceAttach, Version: newVersion(debug.ReadBuildInfo()).Version, Logger: systemd.Logger(os.Stderr),
	})
}

// runProbeNet has the probe net of this host. Whoever has the socket is the only one, so what another had is not in use.
func runProbeNet(ctx context.Context, o ProbeOptions) error {
	ln, err := api.Listen(o.Socket, o.SocketGroup)
	if err != nil {
		return err
	}
	defer ln.Close()
	net, err := probe.Open(probe.Options{Addresses: o.Addresses, Interface: o.Interface})
	if err != nil {
		return err
	}
	return errors.Join(net.Serve(ctx, ln), net.Close())
}

// detachHost takes the data plane of this host out of the kernel where no daemon runs.
func detachHost(ctx context.Context, bpfDir string) error { return daemon.Detach(ctx, bpfDir) }

// Package daemon wires the parts into a running daemon: data plane, controller, API and metrics.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/control"
	"github.com/ebbtide/ebbtide/internal/metrics"
	"github.com/ebbtide/ebbtide/internal/state"
	"github.com/ebbtide/ebbtide/loader"
)

// heapSoftLimit keeps the collector from letting garbage pile up: the daemon's own memory is small, whatever the number
// of flows, since those stay in mapped kernel memory.
const heapSoftLimit = 40 << 20

// Options of a daemon. Spec and Step are for tests.
type Options struct {
	Config      string
	StateDir    string
	BPFDir      string // where the data plane is pinned; bpffs is mounted at its parent when it is not there
	Socket      string
	SocketGroup string
	MetricsAddr string // "": none
	ForceAttach bool
	Version     string
	Logger      *slog.Logger
	Spec        *ebpf.CollectionSpec // nil: the built-in data plane
	Step        func(what string)    // hears of each kernel write before it is made
	Ready       func()               // called when the API answers; may be nil
}

// Run runs a daemon until the context ends or a client detaches. The data plane goes on after the first, and is gone
// after the second.
func Run(ctx context.Context, opt Options) error {
	debug.SetMemoryLimit(heapSoftLimit)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	store, err := state.Open(opt.StateDir)
	if err != nil {
		return err
	}
	defer store.Close()
	plane, err := open(opt)
	if err != nil {
		return err
	}
	defer plane.Close()
	ctl, err := control.New(control.Options{
		ConfigFile: opt.Config, Plane: plane, Store: store, Logger: opt.Logger, Version: opt.Version, Now: time.Now,
		Force: opt.ForceAttach, Step: opt.Step,
	}, stop)
	if err != nil && !plane.Adopted { // what it began is of no use to anyone
		err = errors.Join(err, Detach(ctx, opt.BPFDir))
	}
	if err != nil {
		return err
	}
	return serve(ctx, opt, ctl)
}

// open adopts the data plane, or loads one of the size that the file asks for.
func open(opt Options) (*loader.Plane, error) {
	if err := loader.EnsureBPFFS(filepath.Dir(opt.BPFDir)); err != nil {
		return nil, err
	}
	maxFlows := uint32(config.DefaultMaxFlows)
	cfg, err := config.Load(opt.Config)
	if err == nil {
		maxFlows = cfg.MaxFlows
	} else if _, missing := os.Stat(opt.BPFDir); missing != nil {
		return nil, err // nothing runs that could go on without the file
	}
	return loader.Open(loader.Options{
		Dir: opt.BPFDir, MaxFlows: maxFlows, Spec: opt.Spec, Logger: opt.Logger,
	})
}

// serve runs the controller, the API and the metrics until the context ends or one of them fails.
func serve(ctx context.Context, opt Options, ctl *control.Controller) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	socket, err := api.Listen(opt.Socket, opt.SocketGroup)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	run := func(what string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	run("controller", func() error { return ctl.Run(ctx) })
	run("api", func() error { return api.Serve(ctx, socket, ctl, opt.Logger) })
	run("reload on SIGHUP", func() error { return reloadOnHangup(ctx, ctl, opt.Logger) })
	if opt.MetricsAddr != "" {
		if err := serveMetrics(ctx, opt, ctl, run); err != nil {
			stop(err)
		}
	}
	if opt.Ready != nil {
		opt.Ready()
	}
	<-ctx.Done()
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func serveMetrics(ctx context.Context, opt Options, ctl *control.Controller, run func(string, func() error)) error {
	handler, err := metrics.Handler(ctl)
	if err != nil {
		return err
	}
	ln, err := metrics.Listen(opt.MetricsAddr)
	if err != nil {
		return err
	}
	run("metrics", func() error { return metrics.Serve(ctx, ln, handler, opt.Logger) })
	return nil
}

func reloadOnHangup(ctx context.Context, ctl *control.Controller, log *slog.Logger) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			if _, err := ctl.Reload(ctx); err != nil {
				log.Error("reload: nothing was changed", "err", err)
			}
		}
	}
}

// Detach takes the data plane out of the kernel where no daemon runs.
func Detach(_ context.Context, bpfDir string) error {
	return errors.Join(loader.Detach(bpfDir), control.RemoveVIPs())
}

// Package daemon wires the parts into a running daemon: data plane, controller, API and metrics.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/metrics"
	"github.com/ebbtide/ebbtide/internal/otlp"
	"github.com/ebbtide/ebbtide/internal/probe"
	"github.com/ebbtide/ebbtide/internal/remote"
	"github.com/ebbtide/ebbtide/internal/state"
	"github.com/ebbtide/ebbtide/internal/systemd"
	"github.com/ebbtide/ebbtide/internal/web"
	"github.com/ebbtide/ebbtide/loader"
)

// heapGrowth, in percent of what is in use, keeps the collector from letting garbage pile up: the daemon's own memory is
// small, whatever the number of flows, since those stay in mapped kernel memory. It grows with the configuration, so it has
// no limit: beyond one the collector would never rest.
const heapGrowth = 50

// samplesFile is where what is counted for reports is kept, in the state directory.
const samplesFile = "samples.jsonl"

// Options of a daemon. Spec and Step are for tests.
type Options struct {
	Config      string
	StateDir    string
	BPFDir      string // where the data plane is pinned; bpffs is mounted at its parent when it is not there
	Socket      string
	SocketGroup string
	Listener    net.Listener    // that somebody else listens on, instead of Socket; may be nil
	Manager     systemd.Manager // hears of readiness, reloads and that the daemon lives
	MetricsAddr string          // "": none
	ProbeSocket string          // of the probe net, which may run or not
	Files       control.Files
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
	debug.SetGCPercent(heapGrowth)
	last := &tail{}
	opt.Logger = slog.New(slog.NewMultiHandler(opt.Logger.Handler(), slog.NewTextHandler(last, nil)))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	store, err := state.Open(opt.StateDir)
	if err != nil {
		return err
	}
	defer store.Close()
	log, err := journal.Open(opt.StateDir, time.Now)
	if err != nil {
		return err
	}
	defer log.Close()
	plane, err := open(opt)
	if err != nil {
		return err
	}
	defer plane.Close()
	network, traces := remote.New(opt.Logger, time.Now), newTraces(opt)
	ctl, err := control.New(control.Options{
		ConfigFile: opt.Config, Plane: plane, Store: store, Journal: log, Logger: opt.Logger, Version: opt.Version, Now: time.Now,
		Probes: probe.NewClient(opt.ProbeSocket), Files: opt.Files, Remote: network, Samples: filepath.Join(opt.StateDir, samplesFile),
		Log: last.bytes, Traces: traces,
		Force: opt.ForceAttach, Step: opt.Step,
	}, stop)
	if err != nil && !plane.Adopted { // what it began is of no use to anyone
		err = errors.Join(err, Detach(ctx, opt.BPFDir))
	}
	if err != nil {
		return err
	}
	return serve(ctx, opt, ctl, network, traces)
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
func serve(ctx context.Context, opt Options, ctl *control.Controller, network *remote.Server, traces *otlp.Exporter) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	socket, err := listen(opt)
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
	run("web page", func() error { return web.Run(ctx, ctl, opt.Socket, opt.Logger) })
	run("remote api", func() error { return network.Run(ctx, ctl) })
	run("traces", func() error { traces.Run(ctx); return nil })
	run("reload on SIGHUP", func() error { return reloadOnHangup(ctx, ctl, opt) })
	run("watchdog", func() error { return keepAlive(ctx, opt.Manager.Watch(), opt.Manager.Alive, ctl.Status) })
	if opt.MetricsAddr != "" {
		if err := serveMetrics(ctx, opt, ctl, run); err != nil {
			stop(err)
		}
	}
	if err := drop(opt, opt.Logger); err != nil {
		stop(err)
	}
	if ctx.Err() == nil { // a daemon that is about to end is not ready, whatever it was that failed
		if opt.Ready != nil {
			opt.Ready()
		}
		opt.Manager.Ready()
	}
	<-ctx.Done()
	opt.Manager.Stopping()
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func listen(opt Options) (net.Listener, error) {
	if opt.Listener != nil {
		return opt.Listener, nil
	}
	return api.Listen(opt.Socket, opt.SocketGroup)
}

// newTraces makes what sends spans, where the configuration says so.
func newTraces(opt Options) *otlp.Exporter {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return otlp.New(opt.Logger, []otlp.Attribute{
		{Name: "service.name", Value: "ebbtide"}, {Name: "service.version", Value: opt.Version}, {Name: "host.name", Value: host},
	})
}

func serveMetrics(ctx context.Context, opt Options, ctl *control.Controller, run func(string, func() error)) error {
	ln, err := metrics.Listen(opt.MetricsAddr)
	if err != nil {
		return err
	}
	run("metrics", func() error { return metrics.Serve(ctx, ln, metrics.Handler(ctl), opt.Logger) })
	return nil
}

func reloadOnHangup(ctx context.Context, ctl *control.Controller, opt Options) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			opt.Manager.Reloading()
			if _, err := ctl.Reload(ctx, api.ReloadRequest{Act: api.Act{Reason: "SIGHUP"}}); err != nil {
				opt.Logger.Error("reload: nothing was changed", "err", err)
			}
			opt.Manager.Ready()
		}
	}
}

// Detach takes the data plane out of the kernel where no daemon runs.
func Detach(_ context.Context, bpfDir string) error {
	return errors.Join(loader.Detach(bpfDir), control.RemoveVIPs())
}

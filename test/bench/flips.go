package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	world    = "world"
	looks    = 15 // at a flip, in a sample
	patience = time.Minute
)

// flips is a daemon in a network of its own, and the command line that a user has.
type flips struct {
	lab    *lab.Lab
	host   *host.Host
	binary string
}

func newFlips() (*flips, error) {
	l, err := lab.New(lab.Options{Backends: []string{"blue1", "green1"}})
	if err != nil {
		return nil, fmt.Errorf("build a network: %w", err)
	}
	f := &flips{lab: l, binary: filepath.Join(l.Dir, "ebbtide")}
	if err := f.start(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *flips) start() (err error) {
	build := exec.Command("go", "build", "-buildvcs=false", "-o", f.binary, "github.com/ebbtide/ebbtide/cmd/ebbtide")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the command line: %w\n%s", err, out)
	}
	if f.host, err = host.New(f.lab, host.Options{}); err != nil {
		return err
	}
	listener := fmt.Sprintf("{vip: %s, protocol: tcp, port: %d}", lab.VIP4, gamePort)
	err = f.host.Configure(host.YAML(f.lab, lab.DSR, 10000, host.Service{Name: world, Listeners: []string{listener}}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.host.Start(ctx); err != nil {
		return err
	}
	return f.awaitHops(ctx)
}

// awaitHops waits until the backends of both colours can be reached.
func (f *flips) awaitHops(ctx context.Context) error {
	for {
		status, err := f.host.Client.Status(ctx)
		if err != nil {
			return fmt.Errorf("ask the daemon for its status: %w", err)
		}
		resolved := 0
		for _, g := range status.Services[0].Generations {
			if host.Resolved(g) {
				resolved++
			}
		}
		if resolved == 2 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the next hops of %d generations: %w", 2-resolved, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (f *flips) close() {
	if f.host != nil {
		f.host.Kill()
	}
	f.lab.Close()
}

// verb is a flip by the command line, from its start to its end. Another thread runs it: this one is pinned, and so would its
// children be.
func (f *flips) verb() (float64, error) {
	var took time.Duration
	err := elsewhere(func() error {
		flip := exec.Command(f.binary, "flip", world, "--socket", f.host.Options().Socket)
		begin := time.Now()
		out, err := flip.CombinedOutput()
		took = time.Since(begin)
		if err != nil {
			return fmt.Errorf("flip: %w\n%s", err, out)
		}
		return nil
	})
	return float64(took), err
}

// elsewhere runs f on a thread that is not pinned, and waits for it.
func elsewhere(f func() error) error {
	done := make(chan error)
	go func() { done <- f() }()
	return <-done
}

// storeSeen is the time from before a flip's store until a program that runs on another CPU has seen it: the median of
// some. A CPU that does something else at that moment sees it with the next packet. On a busy machine the watcher may be over
// before the flip: then that is tried again.
func (b *bench) storeSeen() (float64, error) {
	var all []float64
	for range looks {
		begin := time.Now()
		ns, err := b.hot.watchFlip(b.other)
		for errors.Is(err, errMissed) && time.Since(begin) < patience {
			ns, err = b.hot.watchFlip(b.other)
		}
		if err != nil {
			return 0, err
		}
		all = append(all, ns)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

var errMissed = errors.New("a flip was not seen on another CPU: the bench needs two, and some rest")

// The watcher's variables.
const (
	watchService, watchLooking = "watch_service", "watch_looking"
	watchFrom, watchSeen       = "watch_from", "watch_seen"
)

func (p *plane) watchFlip(cpu int) (float64, error) {
	before, after := maps.Steer{Live: game.index}, maps.Steer{Live: game.index, Previous: game.index}
	p.SetSteer(game.index, before)
	defer p.SetSteer(game.index, before)
	err := errors.Join(p.set(watchService, uint32(game.index)), p.set(watchLooking, uint32(0)),
		p.set(watchFrom, uint64(game.index)), p.set(watchSeen, uint64(0)))
	if err != nil {
		return 0, err
	}
	done := make(chan error)
	go func() { done <- p.watch(cpu) }()
	if err := p.awaitLooking(done); err != nil {
		return 0, err
	}
	begin := monotonic()
	p.SetSteer(game.index, after)
	if err := <-done; err != nil {
		return 0, err
	}
	var seen uint64
	if err := p.coll.Variables[watchSeen].Get(&seen); err != nil {
		return 0, fmt.Errorf("read when the flip was seen: %w", err)
	}
	if seen < uint64(begin) {
		return 0, errMissed
	}
	return float64(seen - uint64(begin)), nil
}

// watch runs the watcher on another CPU than the one that measures. Its thread ends with it.
func (p *plane) watch(cpu int) error {
	runtime.LockOSThread()
	if err := pinTo(cpu); err != nil {
		return err
	}
	if _, err := p.coll.Programs["watch_flip"].Run(&ebpf.RunOptions{}); err != nil {
		return fmt.Errorf("watch a flip: %w", err)
	}
	return nil
}

func (p *plane) awaitLooking(done chan error) error {
	for looking := uint32(0); looking == 0; {
		select {
		case err := <-done:
			return errors.Join(errMissed, err)
		default:
		}
		if err := p.coll.Variables[watchLooking].Get(&looking); err != nil {
			return fmt.Errorf("ask whether the watcher looks: %w", err)
		}
	}
	return nil
}

func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("read the clock: %v", err)) // no kernel refuses it
	}
	return t.Nano()
}

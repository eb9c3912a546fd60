package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

// Story is an afternoon under way.
type Story struct {
	out   io.Writer
	begun time.Time

	lab     *lab.Lab
	host    *host.Host
	world   *game.World
	quality *quality
	clients []netip.Addr // that nobody has yet

	mu      sync.Mutex
	figures []string
	broken  []string // promises
}

// timeouts end what is over within seconds, so that an afternoon takes minutes.
const timeouts = "{tcp: 1h, tcp_half_open: 5s, tcp_closing: 2s, udp: 6s, udp_new: 6s, reuse_after: 5s, linger: 15s, linger_cap: 15s}"

// longest is when an afternoon that stands still is ended, and tells where: it takes less than a minute.
const longest = 5 * time.Minute

// Run plays the afternoon, tells it as it goes and writes the report of each service into a directory. It is an error
// when a promise is broken.
func Run(ctx context.Context, out io.Writer, reports string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	s := &Story{out: out, begun: time.Now()}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.build(ctx, lab.Options{}, slices.Concat(world, payments, raid, zones, infra), func() string { return s.yaml("1.9") }); err != nil {
		return err
	}
	chapters := []func(context.Context) error{s.worldChapter, s.paymentsChapter, s.raidChapter, s.zonesChapter, s.infraChapter}
	if err := together(ctx, chapters); err != nil {
		return err
	}
	return errors.Join(s.report(ctx, reports), s.judge())
}

// together plays chapters at once: a release begins while others are under way.
func together(ctx context.Context, chapters []func(context.Context) error) (err error) {
	done := make(chan error, len(chapters))
	for _, chapter := range chapters {
		go func() { done <- chapter(ctx) }()
	}
	for range chapters {
		err = errors.Join(err, <-done)
	}
	return err
}

// build makes the lab, with the game at the endpoints, and the daemon on a configuration that may name what is in it.
func (s *Story) build(ctx context.Context, topology lab.Options, at []game.Endpoint, yaml func() string) error {
	var err error
	if s.lab, err = lab.New(topology); err != nil {
		return err
	}
	if s.world, err = game.NewWorld(s.lab, at...); err != nil {
		return err
	}
	if s.clients, _, err = s.lab.ClientAddresses(240); err != nil {
		return err
	}
	if s.quality, err = newQuality(s.lab.LB); err != nil {
		return err
	}
	if s.host, err = host.New(s.lab, host.Options{}); err != nil {
		return err
	}
	if err := s.host.Configure(yaml()); err != nil {
		return err
	}
	if err := s.host.Start(ctx); err != nil {
		return err
	}
	return s.host.WaitForHops(ctx)
}

// close takes the lab away, and is not content with less than all of it.
func (s *Story) close() error {
	var err error
	if s.host != nil {
		err = s.host.Stop()
	}
	if s.quality != nil {
		err = errors.Join(err, s.quality.Close())
	}
	if s.world != nil {
		err = errors.Join(err, s.world.Close())
	}
	if s.lab == nil {
		return err
	}
	err = errors.Join(err, s.lab.Close())
	leaks, leakErr := s.lab.Leaks()
	for _, leak := range leaks {
		err = errors.Join(err, fmt.Errorf("left behind: %s", leak))
	}
	return errors.Join(err, leakErr)
}

// say prints what has happened.
func (s *Story) say(service, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%5.1f s  %-9s %s\n", time.Since(s.begun).Seconds(), service, fmt.Sprintf(format, args...))
}

// figure is said at the end.
func (s *Story) figure(service, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures = append(s.figures, fmt.Sprintf("%-9s %s", service, fmt.Sprintf(format, args...)))
}

// promise notes one that was broken.
func (s *Story) promise(kept bool, service, format string, args ...any) {
	if kept {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = append(s.broken, service+": "+fmt.Sprintf(format, args...))
}

// judge ends with the figures.
func (s *Story) judge() error {
	slices.Sort(s.figures)
	for _, f := range s.figures {
		fmt.Fprintln(s.out, f)
	}
	fmt.Fprintf(s.out, "promises broken %d\n", len(s.broken))
	var err error
	for _, b := range s.broken {
		err = errors.Join(err, errors.New(b))
	}
	return err
}

// report writes what the journal knows of each service.
func (s *Story) report(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the reports: %w", err)
	}
	for _, name := range services {
		text, err := s.reportOf(ctx, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".html"), text, 0o644); err != nil {
			return fmt.Errorf("write the reports: %w", err)
		}
	}
	fmt.Fprintf(s.out, "reports in %s\n", dir)
	return nil
}

// newcomers are addresses of clients that nobody had before.
func (s *Story) newcomers(n int) []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.clients[:n:n]
	s.clients = s.clients[n:]
	return out
}

// release begins one, and comes back when it is in a state.
func (s *Story) release(ctx context.Context, service, state string) (api.Release, error) {
	r, err := s.host.Client.Release(ctx, api.ReleaseRequest{Service: service, Do: api.ReleaseStart, Act: api.Act{Reason: "the afternoon's release"}})
	if err != nil {
		return r, err
	}
	s.say(service, "release %d begins: %s from %s to %s", r.Number, r.Strategy, r.From.Version, r.To.Version)
	return s.comes(ctx, service, r.Number, func(r api.Release) bool { return r.State == state })
}

var errThere = errors.New("there")

// comes waits until a release is as wanted. One that ends otherwise is an error.
func (s *Story) comes(ctx context.Context, service string, number uint32, wanted func(api.Release) bool) (api.Release, error) {
	var last api.Release
	state := ""
	err := s.host.Client.WatchRelease(ctx, api.ReleasesRequest{Service: service, Number: number}, func(r api.Release) error {
		if last = r; r.State != state {
			state = r.State
			s.say(service, "release %d is %s: %s", r.Number, r.State, r.Why)
		}
		if wanted(r) {
			return errThere
		}
		return nil
	})
	if errors.Is(err, errThere) {
		return last, nil
	}
	return last, errors.Join(err, fmt.Errorf("%s: release %d is %s: %s; waits: %s", service, last.Number, last.State, last.Why, last.Waits))
}

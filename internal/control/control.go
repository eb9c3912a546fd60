// Package control is the daemon's will: it turns the configuration and the operator's verbs into changes of the data
// plane, and proves from the kernel's own counts that a colour is drained.
//
// The kernel is the truth. What the controller knows of it is an image that it reads when it starts and keeps current;
// nothing that it holds in memory would be missed after kill -9.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/freeze"
	"github.com/ebbtide/ebbtide/internal/health"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/occupancy"
	"github.com/ebbtide/ebbtide/internal/otlp"
	"github.com/ebbtide/ebbtide/internal/remote"
	"github.com/ebbtide/ebbtide/internal/state"
	"github.com/ebbtide/ebbtide/internal/tide"
	"github.com/ebbtide/ebbtide/loader"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Options of a controller.
type Options struct {
	ConfigFile string
	Plane      *loader.Plane
	Store      *state.Store
	Journal    *journal.Journal
	Logger     *slog.Logger
	Version    string
	Files      Files
	Log        func() []byte  // the last lines that were logged, for support bundles; nil: none are kept
	Traces     *otlp.Exporter // of releases; nil: none
	Samples    string         // file for what is counted for reports; "": none
	Remote     *remote.Server // where the API answers beside the socket; nil: nowhere
	Now        func() time.Time
	Probes     Players           // nil: nobody asks the candidate, and nothing is rehearsed
	Force      bool              // replace foreign XDP programs
	Step       func(what string) // hears of each kernel write before it is made; nil: nobody listens
}

// Sweeps come this often: often enough that an expired flow is gone from the counts soon, and rarely enough that the
// sweeper's share of a CPU stays small. Drains are watched more closely.
const (
	sweepIdle  = 5 * time.Second
	sweepDrain = time.Second
)

// Controller implements api.Controller.
type Controller struct {
	opt     Options
	log     *slog.Logger
	plane   *loader.Plane
	started time.Time
	hops    *hops
	looks   *looks
	detach  func() // ends the daemon after a detach

	// sweeping is held over each pass of the sweeper, and over each piece of a walk through the flows: whoever replaces
	// the tables holds it too. It is taken after mu when both are.
	sweeping sync.Mutex
	counting counting // of those who wait for a pass

	keys    keys // of requests that are not done twice
	owed    owed // to the journal
	probing probing

	reloading sync.Mutex // held over a whole reload, before mu
	hooks     hookRuns
	health    health.Monitor
	poller    *occupancy.Poller // has a lock of its own

	mu       sync.Mutex // guards what follows, and is held over every change of the kernel
	cfg      *config.Config
	image    *image.Image // replaced, never changed: listings read it without the lock
	state    state.State
	drains   map[uint16]*drain // by generation index
	last     sweepResult
	complete uint64 // number of the newest complete sweep
	rests    rests
	healths  map[uint16]verdict  // by backend id
	occupied map[uint16]occupied // by backend id: of those who tell how many players they hold
	words    map[wordOn]verdict  // on backends whose health others say
	bypass   bypass              // what was found at it
	begun    uint64              // number of the newest sweep
	kick     chan struct{}
	later    chan struct{}      // something was scheduled or taken back
	outcomes map[uint64]outcome // of what was scheduled
	gone     bool               // detached: nothing is put into the kernel any more
	tracing  *tracing           // nil: nobody traces
	freezes  freeze.Calendar
	releases releasing
	gates    gating
	tide     *tide.History // has a lock of its own
	change   chan struct{} // closed and replaced whenever something that a watcher shows has changed

	fail func(what string) error // what goes wrong in a test; nil: nothing does
}

// sweepResult is the newest complete sweep.
type sweepResult struct {
	kernel.Sweep
	at   time.Time
	took time.Duration
}

// New adopts what the kernel has and applies the configuration file. Where the program runs already, a file that can't
// be applied is no reason to stop: all goes on as it was, the mistakes are logged, and reload tries again.
func New(opt Options, detach func()) (*Controller, error) {
	c := &Controller{
		opt: opt, log: opt.Logger, plane: opt.Plane, started: opt.Now(), detach: detach,
		looks: newLooks(), drains: map[uint16]*drain{}, kick: make(chan struct{}, 1), later: make(chan struct{}, 1), outcomes: map[uint64]outcome{}, change: make(chan struct{}),
		tide: tide.New(),
	}
	if c.probing.players = opt.Probes; opt.Probes != nil {
		c.probing.net = opt.Probes
	}
	c.health = health.Monitor{Check: health.Check, Changed: c.healthChanged}
	c.rests.full, c.occupied, c.poller = map[uint16]string{}, map[uint16]occupied{}, newPoller(c.heardOccupancy)
	var err error
	if c.state, err = opt.Store.Load(); err != nil {
		return nil, err
	}
	if err = c.recount(); err != nil {
		return nil, err
	}
	c.setCalendar()
	if c.image, err = image.Read(c.plane.Tables); err != nil {
		return nil, err
	}
	if c.hops, err = newHops(c.plane, opt.Logger, c.looks.at); err != nil {
		return nil, err
	}
	if err := c.plane.Untrace(); err != nil { // a daemon may have been killed while somebody traced
		return nil, err
	}
	if err := c.resume(); err != nil {
		return nil, err
	}
	c.conclude()
	if err := c.resumeReleases(); err != nil {
		return nil, err
	}
	if err := c.loadKeys(); err != nil {
		return nil, err
	}
	if err := c.recallWords(); err != nil {
		return nil, err
	}
	if err := c.firstConfig(); err != nil {
		return nil, err
	}
	c.trySweep() // nobody is to be told of no sessions by a daemon that has not counted
	return c, nil
}

// firstConfig applies the file. Where nothing forwards yet, a file that can't be applied is the end.
func (c *Controller) firstConfig() error {
	running, err := c.plane.Attached()
	if err != nil {
		return err
	}
	cfg, err := c.load()
	if err == nil {
		// After a reboot there is nothing that a lock could keep as it is.
		_, err = c.apply(context.Background(), actStart, api.Act{BreakLock: !c.plane.Adopted}, cfg)
		debug.FreeOSMemory() // what a large file took to be read
	}
	switch {
	case err == nil:
		return nil
	case len(running) == 0:
		return fmt.Errorf("start with %s: %w", c.opt.ConfigFile, err)
	}
	c.log.Error("the data plane goes on as it is; mend the file and reload", "file", c.opt.ConfigFile, "err", err)
	c.hops.want(c.image, names(running))
	return nil
}

// Run sweeps and follows next hops until the context ends. The data plane goes on afterwards.
func (c *Controller) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.hops.run(ctx) })
	group.Go(func() error { return c.sweepLoop(ctx) })
	group.Go(func() error { return c.lossLoop(ctx) })
	group.Go(func() error { c.health.Run(ctx); return nil })
	group.Go(func() error { return c.pollOccupancy(ctx) })
	group.Go(func() error { return c.environmentLoop(ctx) })
	group.Go(func() error { return c.sampleLoop(ctx) })
	group.Go(func() error { return c.tideLoop(ctx) })
	group.Go(func() error { return c.forecastLoop(ctx) })
	group.Go(func() error { return c.releaseLoop(ctx) })
	group.Go(func() error { return c.scheduleLoop(ctx) })
	group.Go(func() error { return loader.FollowLinks(ctx, c.linkChanged) })
	err := group.Wait()
	c.hops.close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// linkChanged follows an interface: its MAC, one that was taken away and came back under its name, and the IPv6 addresses
// that the kernel drops when it goes down.
func (c *Controller) linkChanged(change loader.LinkChange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil
	}
	if err := c.plane.FollowLink(change); err != nil {
		c.log.Error("follow the interface", "interface", change.Name, "err", err)
	}
	if c.cfg == nil || !change.Up || !slices.Contains(c.cfg.Interfaces, change.Name) {
		return nil
	}
	if err := c.attach(c.cfg); err != nil {
		c.log.Error("attach to the interface again", "interface", change.Name, "err", err)
		return nil // no VIP without the program: the kernel would answer the players itself
	}
	if change.Name == c.cfg.Interfaces[0] {
		if err := c.vips(c.cfg); err != nil {
			c.log.Error("put the VIPs back", "interface", change.Name, "err", err)
		}
	}
	return nil
}

// step announces a kernel write.
func (c *Controller) step(what string) {
	if c.opt.Step != nil {
		c.opt.Step(what)
	}
}

// barrier announces a barrier, and waits for it.
func (c *Controller) barrier(what string) (time.Duration, error) {
	c.step(what)
	if err := c.fails(what); err != nil {
		return 0, err
	}
	return c.plane.Barrier()
}

func (c *Controller) fails(what string) error {
	if c.fail == nil {
		return nil
	}
	return c.fail(what)
}

// changed wakes whoever watches. The lock is held.
func (c *Controller) changed() {
	close(c.change)
	c.change = make(chan struct{})
}

// sweepSoon asks for a sweep now.
func (c *Controller) sweepSoon() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// Package nexthop resolves backend addresses to next hops and keeps them true.
//
// Routes, links and neighbours come from the kernel by subscription; nothing
// asks again for what the kernel would tell. It sends no packet of its own: the
// kernel does all ARP and neighbour discovery, this package only tells it when.
package nexthop

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultReconfirm is how long a neighbour's answer is believed. With the time
// that a probe is given to be answered it keeps a backend whose MAC changed
// without a word lost for less than a second.
const DefaultReconfirm = 400 * time.Millisecond

// Options of a Watcher.
type Options struct {
	// Logger gets changes (debug) and lost events (warn); nil is silent.
	Logger *slog.Logger
	// Notify gets the first result for each address and every change after
	// it, one call at a time. While it runs nothing else is resolved.
	Notify func(addr netip.Addr, h Hop)
	// Reconfirm is how long an answer is believed; 0 is DefaultReconfirm.
	Reconfirm time.Duration
	// ReceiveBuffer for kernel events, in bytes; 0 is 4 MiB. What does not
	// fit is not lost for good: everything is then read again.
	ReceiveBuffer int
}

// wanted is what Set asked for.
type wanted struct {
	addrs map[netip.Addr]Mode
	via   []string
}

// Watcher resolves a set of addresses. Set, Get and Close may be called from
// any goroutine; all else belongs to the one that called Run.
type Watcher struct {
	opts    Options
	kernel  *kernel
	changed chan struct{} // wanted was replaced
	started atomic.Bool   // by Run, or closed before it
	resyncs atomic.Int64

	mu     sync.Mutex
	wanted wanted
	hops   map[netip.Addr]Hop

	via        []string // of what was adopted
	links      map[int]link
	table      map[key]entry // all the kernel's neighbours
	neighbours map[key]*neighbour
	targets    map[netip.Addr]*target
	reviewed   time.Time               // neighbours were, for what is due
	unrouted   map[netip.Addr]struct{} // targets whose route must be looked up
	stale      bool                    // so must those of all
	unsettled  map[netip.Addr]struct{} // targets whose hop may have changed
}

// New subscribes in the network namespace of the calling thread. Nothing is
// resolved before Run.
func New(opts Options) (*Watcher, error) {
	opts.Reconfirm = cmp.Or(opts.Reconfirm, DefaultReconfirm)
	opts.ReceiveBuffer = cmp.Or(opts.ReceiveBuffer, 4<<20)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Notify == nil {
		opts.Notify = func(netip.Addr, Hop) {}
	}
	k, err := openKernel(opts.ReceiveBuffer)
	if err != nil {
		return nil, err
	}
	return &Watcher{
		opts:       opts,
		kernel:     k,
		changed:    make(chan struct{}, 1),
		hops:       make(map[netip.Addr]Hop),
		neighbours: make(map[key]*neighbour),
		targets:    make(map[netip.Addr]*target),
		unrouted:   make(map[netip.Addr]struct{}),
		unsettled:  make(map[netip.Addr]struct{}),
	}, nil
}

// Set replaces the wanted addresses, and the interfaces that may be sent out of;
// none allows any with Ethernet on it. An address that is taken out is forgotten
// without a Notify; one that was under way when Set returned may still come.
func (w *Watcher) Set(addrs map[netip.Addr]Mode, via ...string) {
	w.mu.Lock()
	w.wanted = wanted{maps.Clone(addrs), slices.Clone(via)}
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Get returns the last result for addr, and whether there is one.
func (w *Watcher) Get(addr netip.Addr) (Hop, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, ok := w.hops[addr]
	return h, ok
}

// Close ends the subscription, and with it Run, whose last results stay. It may
// be called twice, and must be when Run was not.
func (w *Watcher) Close() {
	w.kernel.close()
	// Run answers what it is at from the handle, and gives it back itself.
	if w.started.CompareAndSwap(false, true) {
		w.kernel.handle.Close()
	}
}

// Run resolves until ctx is done or the Watcher is closed (nil), or until the
// kernel cannot be read. It closes the Watcher, and can be called once.
func (w *Watcher) Run(ctx context.Context) error {
	if !w.started.CompareAndSwap(false, true) {
		return fmt.Errorf("run next hops: %w", os.ErrClosed)
	}
	defer w.kernel.handle.Close()
	events := w.kernel.listen()
	defer func() {
		w.kernel.close()
		for range events { // until listen has ended
		}
	}()
	if err := w.resync(); err != nil {
		return err
	}
	return w.loop(ctx, events)
}

func (w *Watcher) loop(ctx context.Context, events <-chan event) error {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		w.settle(func() bool { return len(events) > 0 })
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			w.adopt()
		case ev, ok := <-events:
			if !ok {
				return w.kernel.ended
			}
			if err := w.take(ev); err != nil {
				return err
			}
			// Those behind it may ask for the same look-ups.
			for range len(events) {
				if ev, ok := <-events; ok {
					if err := w.take(ev); err != nil {
						return err
					}
				}
			}
		case now := <-tick.C:
			if len(events) == 0 { // answers before questions
				w.reconfirm(now)
			}
		}
	}
}

// resync reads all that events would have told. Routes are not read: each
// target's is looked up again.
func (w *Watcher) resync() error {
	links, err := w.kernel.links()
	if err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	table, err := w.kernel.neighbours()
	if err != nil {
		return fmt.Errorf("read neighbours: %w", err)
	}
	w.links, w.table = links, table
	now := time.Now()
	for k, n := range w.neighbours {
		w.observe(k, n, now)
	}
	w.rerouteAll()
	return nil
}

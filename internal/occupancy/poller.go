package occupancy

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// atOnce bounds the questions that are under way at the same time.
const atOnce = 64

// Target is a backend that is asked. It is comparable: one that changes is another one.
type Target struct {
	ID      uint16
	URL     string // "": it is not asked, and Heard hears so each time that it would be
	Names   Names
	Every   time.Duration
	Timeout time.Duration
}

// Poller asks targets for as long as it runs. With Ask and Heard set it is ready.
type Poller struct {
	Ask   func(ctx context.Context, t Target) (Reading, error)
	Heard func(t Target, r Reading, err error) // of one target never twice at once

	mu    sync.Mutex
	want  map[Target]context.CancelFunc // nil: not begun yet
	begin func(Target) context.CancelFunc
}

// Run asks until the context ends. When it returns nobody is asked and Heard does not run.
func (p *Poller) Run(ctx context.Context) {
	var asking sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	p.mu.Lock()
	p.begin = func(t Target) context.CancelFunc {
		ctx, stop := context.WithCancel(ctx)
		asking.Go(func() { p.poll(ctx, t, slots) })
		return stop
	}
	for t := range p.want {
		p.want[t] = p.begin(t)
	}
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.begin = nil
	p.mu.Unlock()
	asking.Wait()
}

// Want replaces the targets. One that stays is asked when it would have been.
func (p *Poller) Want(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.want
	p.want = map[Target]context.CancelFunc{}
	for _, t := range targets {
		stop, there := old[t]
		if delete(old, t); !there && p.begin != nil {
			stop = p.begin(t)
		}
		p.want[t] = stop
	}
	for _, stop := range old {
		if stop != nil {
			stop()
		}
	}
}

// poll asks one target. The first time comes at a random moment, and all others a tenth of the time sooner or later, so that
// targets are not all asked at once.
func (p *Poller) poll(ctx context.Context, t Target, slots chan struct{}) {
	wait := rand.N(t.Every)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		asked, done := context.WithTimeout(ctx, t.Timeout)
		r, err := p.Ask(asked, t)
		done()
		<-slots
		if ctx.Err() != nil {
			return
		}
		p.Heard(t, r, err)
		wait = t.Every - t.Every/10 + rand.N(t.Every/5)
	}
}

package control

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/loader/nexthop"
)

const (
	// lossPause lies between two looks: thousands of next hops may change at once.
	lossPause = 100 * time.Millisecond
	// lossAgain lies between a look that failed and the one that it asks for.
	lossAgain = 5 * time.Second
)

// looks are services whose backends are to be looked at, since a next hop of theirs has changed, or who takes sessions.
type looks struct {
	mu   sync.Mutex
	due  map[uint16]bool // by service index
	some chan struct{}   // has one when some are due
}

func newLooks() *looks { return &looks{due: map[uint16]bool{}, some: make(chan struct{}, 1)} }

// at asks for a look.
func (l *looks) at(service uint16) {
	l.mu.Lock()
	l.due[service] = true
	l.mu.Unlock()
	select {
	case l.some <- struct{}{}:
	default:
	}
}

// take gives what is due, which is then due no more.
func (l *looks) take() map[uint16]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := l.due
	l.due = map[uint16]bool{}
	return due
}

// lossLoop looks at backends whenever that is asked for.
func (c *Controller) lossLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.looks.some:
		}
		pause := lossPause
		c.mu.Lock()
		if err := c.losses(); err != nil {
			c.log.Error("move the sessions of a lost backend", "err", err)
			pause = lossAgain
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// losses takes backends that nobody is at out of the tables, then tells the program that their sessions move: those must
// not come back to them. The lock is held.
func (c *Controller) losses() error {
	if c.cfg == nil || c.gone {
		return nil
	}
	moves := c.moves(c.looks.take())
	if len(moves) == 0 {
		return nil
	}
	want := c.image.WithLosses(moves, c.sight)
	if want == c.image {
		c.hops.lose(want) // a way that was there for a moment took the program's mark away
		return nil
	}
	for id, b := range want.Backends {
		if b.Lost != c.image.Backends[id].Lost {
			c.log.Warn("backend", "service", c.image.Services[b.Service].Name, "backend", addresses(b), "lost", b.Lost != [2]bool{})
		}
	}
	if err := c.write(want); err != nil {
		for service := range moves { // nobody else asks for that look again
			c.looks.at(service)
		}
		return err
	}
	c.hops.lose(want)
	c.changed()
	return nil
}

// moves are the services of some whose sessions leave a lost backend.
func (c *Controller) moves(some map[uint16]bool) map[uint16]bool {
	out := map[uint16]bool{}
	for index := range some {
		if s, there := c.cfg.Service(c.image.Services[index].Name); there && s.OnBackendLoss == config.LossMove {
			out[index] = true
		}
	}
	return out
}

func (c *Controller) sight(addr netip.Addr) image.Sight {
	switch hop := c.hops.get(addr); {
	case hop.State == nexthop.Resolved:
		return image.There
	case hop.Silent:
		return image.Gone
	}
	return image.Unsure
}

// planLosses says where another policy would hold.
func (c *Controller) planLosses(cfg *config.Config, d *describer) {
	if c.cfg == nil {
		return
	}
	for _, s := range cfg.Services {
		if was, there := c.cfg.Service(s.Name); there && was.OnBackendLoss != s.OnBackendLoss {
			d.add(s.Name, "on_backend_loss from %s to %s", was.OnBackendLoss, s.OnBackendLoss)
		}
	}
}

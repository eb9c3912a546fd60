package control

import (
	"errors"
	"testing"
	"time"

	kernel "github.com/ebbtide/ebbtide/maps"
)

// An eviction's pass may end later than the sweep's own, and it is its counts that are used: where it missed some, nobody knows
// whom it missed.
func TestNothingIsTakenOutByACountThatMissedSome(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	live := c.image.Services[1].Steer.Live
	id := c.image.BackendsOf(live)[0]
	want := c.image.Clone()
	b := want.Backends[id]
	b.Use = kernel.Removed
	want.Backends[id] = b
	c.image = want
	c.last = sweepResult{Sweep: kernel.Sweep{Missed: 1}, at: c.opt.Now().Add(time.Hour)}
	must(t, c.sweep())
	if _, there := c.image.Backends[id]; !there {
		t.Error("a backend was taken out under whom nobody counted")
	}
	c.last.Missed = 0
	must(t, c.sweep())
	if _, there := c.image.Backends[id]; there {
		t.Error("it stays for ever")
	}
}

// failing makes something go wrong once, and gives what it is that does.
func (c *Controller) failing(what string) error {
	bad := errors.New(what + " went wrong")
	c.fail = func(is string) error {
		if is != what {
			return nil
		}
		c.fail = nil
		return bad
	}
	return bad
}

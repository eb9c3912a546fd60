package control

import (
	"errors"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
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

// What a flip has stored drains, though nothing came of the barrier behind it: the sweeps make up for that.
func TestAFlipWithoutItsBarrierDrainsAllTheSame(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	must(t, c.save(c.image))
	for range 3 { // the last one's old generation has a drain that a flip ended
		old := c.image.Services[1].Steer.Live
		begun := c.begun
		bad := c.failing("flip: barrier")
		if _, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true}); !errors.Is(err, bad) {
			t.Fatalf("got %v", err)
		}
		state := func() kernel.GenerationState { return c.image.Generations[old].State }
		must(t, c.sweep())
		if d := c.drains[old]; state() != kernel.Draining || d == nil || d.endedBy != "" || d.after <= begun {
			t.Fatalf("after a sweep it is %v: %+v", state(), d)
		}
		must(t, c.sweep())
		if steer := c.image.Services[1].Steer; state() != kernel.Draining || steer.Previous != 0 {
			t.Fatalf("after a sweep behind the barrier it is %v: %+v", state(), steer)
		}
		must(t, c.sweep())
		if state() != kernel.Drained {
			t.Fatalf("in the end it is %v", state())
		}
		c.mustAgree(t)
	}
}

// The second count of a drain is one that begins behind the seal's barrier, whenever that comes.
func TestASealWithoutItsBarrierProvesNothing(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	must(t, c.save(c.image))
	old := c.image.Services[1].Steer.Live
	_, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true})
	must(t, err)
	bad := c.failing("drain: barrier")
	if err := c.sweep(); !errors.Is(err, bad) {
		t.Fatalf("got %v", err)
	}
	must(t, c.sweep())
	if is := c.image.Generations[old].State; is != kernel.Draining {
		t.Fatalf("it is %v by a count that began before the barrier", is)
	}
	must(t, c.sweep())
	if is := c.image.Generations[old].State; is != kernel.Drained {
		t.Errorf("in the end it is %v", is)
	}
}

package survive

import (
	"context"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

var seed = flag.Uint64("seed", 0, "of the moments of kill -9; 0: a new one")

// twoFiles are configurations that a reload goes to and fro between: timeouts, listeners and a weight differ.
func twoFiles(l *lab.Lab) [2]string {
	a := setting{}.yaml(l)
	svc := both(service, port, strings.Replace(calm, "udp: 1h", "udp: 59m", 1))
	svc.Listeners = append(svc.Listeners, listener(lab.VIP4, "tcp", port+1), listener(lab.VIP6, "udp", port+1))
	b := setting{services: []host.Service{svc}}.yaml(l)
	blue2 := l.Backend("blue2").V6.String() + `"]`
	return [2]string{a, strings.Replace(b, blue2, blue2+", weight: 3", 1)}
}

func TestKill9AtRandomMomentsBreaksNoSession(t *testing.T) {
	t.Parallel()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	const players, kills = 50, 100 // of four sessions each
	s := mustStage(t, setting{}, endpoints(port)...)
	s.fleet.Add(t.Context(), players, role(endpoints(port)...))
	s.fleet.Exchange(1)
	c := chaos{stage: s, rnd: rand.New(rand.NewPCG(*seed, 0)), files: twoFiles(s.lab)}
	for i := range kills {
		c.round(t, i)
		if t.Failed() {
			t.Fatalf("at kill %d", i+1)
		}
	}
	s.fleet.Exchange(1)
	s.mustBeWhole(t)
	t.Logf("%d kills, %d of them while the daemon started; flips: %d acknowledged, %d cut short of which %d had happened; reloads: %d acknowledged, %d cut short",
		kills+c.inStart, c.inStart, c.flips, c.cutFlips, c.happened, c.reloads, c.cutReloads)
	// The drain that all this interrupted goes on, and ends when the last session has; over UDP, by its silence.
	s.configure(t, setting{services: []host.Service{both(service, port, short)}}.yaml(s.lab))
	s.reload(t)
	live := s.live(t, service)
	s.leave(other(live))
	s.mustDrain(t, service)
	if open := s.world.Open()[other(live)]; open != 0 {
		t.Errorf("drained with %d sessions on %s", open, other(live))
	}
	s.mustBeWhole(t)
	s.kill(t)
}

// chaos is an operator at work, and somebody who kills the daemon.
type chaos struct {
	*stage
	rnd   *rand.Rand
	files [2]string
	file  int // the one in use

	inStart, flips, cutFlips, happened, reloads, cutReloads int
}

// within is a random time.
func (c *chaos) within(d time.Duration) time.Duration { return time.Duration(c.rnd.Int64N(int64(d))) }

// round kills the daemon once while it flips or reloads, or while it starts, too.
func (c *chaos) round(t *testing.T, i int) {
	old := c.live(t, service)
	if i%2 == 0 {
		c.flipAndKill(t, old)
	} else {
		c.reloadAndKill(t)
		if live := c.live(t, service); live != old {
			t.Errorf("a reload moved live from %s to %s", old, live)
		}
	}
	if plan, err := c.host.Client.Plan(t.Context(), api.PlanRequest{}); err != nil || len(plan.Changes) != 0 {
		t.Errorf("left to do after a restart: %+v, %v", plan.Changes, err)
	}
	if i%10 < 2 {
		c.mustBeConsistent(t)
		live := c.live(t, service)
		if colour := c.login(t, endpoints(port)...); colour != live {
			t.Errorf("%s is live, a newcomer was accepted by %s", live, colour)
		}
	}
	c.mustBeWhole(t)
}

func (c *chaos) flipAndKill(t *testing.T, old string) {
	done := make(chan error, 1)
	go func() {
		_, err := c.host.Client.Flip(t.Context(), api.FlipRequest{Service: service, To: other(old)})
		done <- err
	}()
	c.killWithin(t, flipTime)
	err := <-done
	c.restart(t)
	live := c.live(t, service)
	switch {
	case err == nil:
		c.flips++
		if live != other(old) {
			t.Errorf("the flip to %s had returned, %s is live", other(old), live)
		}
	case live == other(old):
		c.happened++
		fallthrough
	default:
		c.cutFlips++
		if live != old && live != other(old) {
			t.Errorf("%q is live", live)
		}
	}
}

func (c *chaos) reloadAndKill(t *testing.T) {
	c.file = 1 - c.file
	c.configure(t, c.files[c.file])
	done := make(chan error, 1)
	go func() {
		_, err := c.host.Client.Reload(t.Context(), api.ReloadRequest{})
		done <- err
	}()
	c.killWithin(t, reloadTime)
	if <-done == nil {
		c.reloads++
	} else {
		c.cutReloads++
	}
	c.restart(t)
}

// What a flip or a reload takes here, and more. Each change of a Maglev table waits for a grace period.
const (
	flipTime   = time.Second / 15
	reloadTime = time.Second / 2
)

// killWithin kills at a random moment of the time to come.
func (c *chaos) killWithin(t *testing.T, d time.Duration) {
	time.Sleep(c.within(d))
	c.kill(t)
}

// restart starts the daemon; now and then one dies while it starts, before.
func (c *chaos) restart(t *testing.T) {
	if c.rnd.IntN(4) == 0 {
		ctx, stop := context.WithTimeout(t.Context(), c.within(time.Second/2))
		defer stop()
		if err := c.host.Start(ctx); err != nil {
			c.inStart++
		} else {
			c.kill(t)
		}
	}
	c.start(t)
}

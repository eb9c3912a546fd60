package control

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// Listings go on while services are flipped, and each sees one state of things. The race detector judges.
func TestListingsReadNothingThatAFlipChanges(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	now, err := c.plane.Now()
	must(t, err)
	mapstest.Fill4(t, c.plane.Tables, 4096, 1000, func(i int) kernel.Meta {
		return mapstest.Meta(kernel.Established, 1, uint16(1+i%8), now)
	})
	ctx, stop := context.WithCancel(t.Context())
	var listings sync.WaitGroup
	listed := make(chan struct{}, 1)
	listings.Go(func() {
		for ctx.Err() == nil {
			err := c.Flows(ctx, api.FlowFilter{Generation: 1}, func(f api.Flow) error {
				if f.Generation.Number != 1 {
					t.Errorf("%+v is not of the generation asked for", f)
				}
				return nil
			})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			select {
			case listed <- struct{}{}:
			default:
			}
		}
	})
	for range 10 {
		<-listed
		_, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true})
		must(t, err)
	}
	stop()
	listings.Wait()
}

// A count that fails after a flip leaves the one before it: none would be a count of nobody, for every service.
func TestACountThatFailsAfterAFlipIsNoCountOfNobody(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	must(t, c.save(c.image))
	now, err := c.plane.Now()
	must(t, err)
	other, _ := c.image.ServiceNamed("s1")
	live := c.image.Services[other].Steer.Live
	on := c.image.BackendsOf(live)[0]
	mapstest.Fill4(t, c.plane.Tables, 4096, 4, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, on, now) })
	must(t, c.sweep())
	bad := errors.New("the sweeper went wrong")
	c.fail = func(what string) error {
		if what == "sweep" {
			return bad
		}
		return nil
	}
	if _, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true}); !errors.Is(err, bad) {
		t.Fatalf("got %v", err)
	}
	if s := c.sessions(live); s.Established != 4 || c.last.at.IsZero() {
		t.Errorf("another service has %+v, counted at %s", s, c.last.at)
	}
}

package control

import (
	"errors"
	"sync"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

var errEnough = errors.New("enough")

// mustFollow gives what is told until enough says so. When nothing is left to be told that was there, then acts.
func mustFollow(t *testing.T, c *Controller, req api.EventsRequest, then func(), enough func(api.Event) bool) (all []api.Event) {
	t.Helper()
	var acting sync.WaitGroup
	defer acting.Wait()
	err := c.Events(t.Context(), req, func(e api.Event) error {
		if e == (api.Event{}) {
			if then != nil {
				acting.Go(then)
			}
			return nil
		}
		all = append(all, e)
		if enough(e) {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("it ended with %v", err)
	}
	return all
}

func TestWhoFollowsEventsIsToldOfAFlipAndOfItsDrain(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	now, err := c.plane.Now()
	must(t, err)
	old := c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]
	mapstest.Fill4(t, c.plane.Tables, 4096, 3, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, old, now) })
	flip := func(service string) {
		if _, err := c.Flip(t.Context(), api.FlipRequest{Service: service, Force: true}); err != nil {
			t.Error(err)
		}
	}
	flip("s1") // what was before is not told
	all := mustFollow(t, c, api.EventsRequest{Service: "s0"}, func() { flip("s0") }, func(e api.Event) bool { return e.Drain != nil })
	last := *all[len(all)-1].Drain
	if last.Service != "s0" || last.Generation.Number != 1 || last.State != api.StateDraining || last.Left.Total != 3 {
		t.Errorf("the drain: %+v", last)
	}
	// The drain may be told of before the end of the flip is in the journal. Whoever comes back gets the rest.
	begun := mustFollow(t, c, api.EventsRequest{Service: "s0", After: new(uint64)}, nil, func(e api.Event) bool { return e.Journal != nil && e.Journal.Stage == journal.Done })
	if len(begun) != 2 || begun[0].Journal.Stage != journal.Begun || begun[1].Journal.Of != begun[0].Journal.Seq {
		t.Errorf("of s0: %+v", begun)
	}
	// What has not changed is not told again; an end is.
	for slot := range c.plane.Tables.SlotCount(kernel.IPv4) {
		if m := c.plane.Tables.Meta(kernel.IPv4, slot); m.Backend() == old {
			c.plane.Tables.SwapMeta(kernel.IPv4, slot, m, 0)
		}
	}
	sweeps := func() {
		for range 4 {
			if err := c.sweep(); err != nil {
				t.Error(err)
			}
		}
	}
	ends := mustFollow(t, c, api.EventsRequest{Service: "s0"}, sweeps, func(e api.Event) bool { return e.Drain != nil && e.Drain.State == api.StateDrained })
	seen := map[api.Sessions]int{}
	for _, e := range ends {
		if e.Drain != nil && e.Drain.State == api.StateDraining {
			seen[e.Drain.Left]++
		}
	}
	for left, n := range seen {
		if n > 1 {
			t.Errorf("told %d times that %+v are left", n, left)
		}
	}
}

func TestEventsEndWhenAllIsToldOrTheServiceIsNone(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	_, err := c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true})
	must(t, err)
	n := 0
	beyond := uint64(1000) // as of a journal that was set aside
	for _, after := range []*uint64{new(uint64), &beyond} {
		must(t, c.Events(t.Context(), api.EventsRequest{After: after, Once: true}, func(e api.Event) error {
			if e.Journal != nil {
				n++
			}
			return nil
		}))
	}
	if n != 2 {
		t.Errorf("%d events of a flip", n)
	}
	err = c.Events(t.Context(), api.EventsRequest{Service: "moon"}, func(api.Event) error { t.Error("yielded"); return nil })
	mustRefuse(t, err, api.NotFound, "service moon")
}

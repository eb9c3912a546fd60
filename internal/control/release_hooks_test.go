package control

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// heard are the calls of a release's hooks, which go through the journal as they do in the daemon.
type heard struct {
	mu    sync.Mutex
	calls map[string][]hook.Call // by transition
}

func (a *afternoon) hearHooks() *heard {
	h := &heard{calls: map[string][]hook.Call{}}
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	a.releases.hook = a.releaseHook
	a.Controller.hooks.run = func(_ context.Context, _ config.Hook, call hook.Call) hook.Result {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.calls[call.Transition] = append(h.calls[call.Transition], call)
		return hook.Result{Attempts: 1}
	}
	return h
}

func TestAReleaseTellsItsHooksWhatTheyAreAbout(t *testing.T) {
	a := startReleases(t, "session", "bake: 10m, deadline: 2h, notice: {at: [3 sessions], batch: 2}, "+allHooks)
	h := a.hearHooks()
	a.players(5)
	must(t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Baking, 5)
	a.later(10 * time.Minute)
	a.mustCome(release.Draining, 5)
	a.leave(2)
	for a.mustCome(release.Draining, 3).Notices != 1 {
		must(t, a.sweep())
	}
	a.leave(3)
	r := a.mustCome(release.Done, 0)

	h.mu.Lock()
	defer h.mu.Unlock()
	for transition, n := range map[string]int{"verify": 1, "flip": 1, "notice": 2, "retire": 1, "backup": 1, "promote": 1, "migrate": 0, "rollback": 0} {
		calls := h.calls[transition]
		if len(calls) != n {
			t.Errorf("%s: %d calls, want %d", transition, len(calls), n)
		}
		for _, c := range calls {
			if c.Service != "s0" || c.Release != 1 || c.From != r.From || c.To != r.To || c.Actor == "" || c.At.IsZero() {
				t.Errorf("%s: %+v", transition, c)
			}
			if n == 1 && !strings.HasPrefix(c.Key, "s0/1/"+transition+"/") {
				t.Errorf("%s has the key %s", transition, c.Key)
			}
		}
	}
	left := 0
	for _, c := range h.calls["notice"] {
		left += len(c.Left)
		if c.Deadline.IsZero() {
			t.Errorf("a notice without its deadline: %+v", c)
		}
	}
	if left != 3 {
		t.Errorf("the notices name %d flows, want 3", left)
	}
	if got := h.calls["retire"][0].Backends; !reflect.DeepEqual(got, []string{"10.0.0.1", "10.0.0.2"}) {
		t.Errorf("the backends %q retire", got)
	}
}

// Tables that are replaced in the middle of a notice make nobody miss it: the release looks into the new ones, and goes on.
func TestANoticeGoesOnInTablesThatWereReplaced(t *testing.T) {
	const players = pieceFlows + 500
	a := startReleases(t, "session", "bake: 10m, deadline: 2h, notice: {at: [2000 sessions]}, "+allHooks)
	h := a.hearHooks()
	var replace sync.Once
	a.Controller.mu.Lock()
	others := a.Controller.hooks.run
	a.Controller.hooks.run = func(ctx context.Context, is config.Hook, call hook.Call) hook.Result {
		if call.Transition == "notice" {
			replace.Do(func() {
				a.Controller.mu.Lock()
				defer a.Controller.mu.Unlock()
				a.replaceTables(players)
			})
		}
		return others(ctx, is, call)
	}
	a.Controller.mu.Unlock()
	a.players(players)
	must(t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Baking, players)
	a.later(10 * time.Minute)
	r := a.mustBe(func(r api.Release) bool {
		return r.State == string(release.Draining) && r.Notices == 1 || r.State == string(release.Failed)
	}, "told")
	if r.State == string(release.Failed) {
		t.Fatalf("%+v", r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	told := map[string]bool{}
	for _, c := range h.calls["notice"] {
		for _, l := range c.Left {
			told[l.Client] = true
		}
	}
	if len(told) != players {
		t.Errorf("%d were told, of %d", len(told), players)
	}
}

// replaceTables does what a reload with another max_flows does. Players of tests lie where no program finds them, and so are
// put into the new tables by hand. The lock is held.
func (a *afternoon) replaceTables(players int) {
	a.t.Helper()
	a.sweeping.Lock() // nobody counts in between
	defer a.sweeping.Unlock()
	t, most := a.plane.Tables, 2*a.plane.MaxFlows()
	for slot := range t.SlotCount(kernel.IPv4) {
		if meta := t.Meta(kernel.IPv4, slot); meta != 0 && !t.SwapMeta(kernel.IPv4, slot, meta, 0) {
			a.t.Error("a slot changed")
		}
	}
	must(a.t, a.Controller.hops.while(func() error { return a.plane.Upgrade(most, nil) }))
	now, err := a.plane.Now()
	must(a.t, err)
	old := a.image.BackendsOf(a.generationNumbered(a.index, 1))[0]
	mapstest.Fill4(a.t, a.plane.Tables, most, players, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, old, now) })
}

// The same of an eviction that counts whom it is to move.
func TestAnEvictionIsDueAgainWhenTheTablesWereReplaced(t *testing.T) {
	a := startReleases(t, "session", "bake: 0s, deadline: 1h, migrate: {batch: 1, every: 10s}")
	a.players(5)
	must(t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Draining, 5)
	a.later(time.Hour)
	a.mustCome(release.Migrating, 5)
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	r, _ := a.releaseOf(a.name, 1)
	before := a.plane.Tables
	a.replaceTables(5)
	err = a.pieces(before)(func(uint32) {})
	mustRefuse(t, err, api.Unavailable, "the flow tables were replaced meanwhile")
	a.movingEnded(r, err)
	if r, _ := a.releaseOf(a.name, 1); r.State != release.Migrating {
		t.Errorf("%+v", r)
	}
}

func TestADaemonWithoutConfigurationRunsNoHooks(t *testing.T) {
	a := startReleases(t, "session", "bake: 10m, "+allHooks)
	a.hearHooks()
	a.Controller.mu.Lock()
	a.cfg = nil
	a.Controller.mu.Unlock()
	err := a.releaseHook(t.Context(), release.Record{Service: "s0", Number: 1}, release.Hook{Key: "s0/1/flip", Transition: "flip"})
	if err == nil || err.Error() != "service s0: its hooks are not known, for the configuration file could not be applied: mend it and reload" {
		t.Errorf("got %v", err)
	}
}

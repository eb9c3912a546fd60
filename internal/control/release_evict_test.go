package control

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/release"
)

// What began in another state of a release is not due any more: after a rollback nobody is moved by it, and nothing that it
// finds then stops the way back.
func TestARollbackEndsTheMovingOfSessions(t *testing.T) {
	t.Run("in-place", func(t *testing.T) {
		a := startReleases(t, "in-place", "busy: reset, window: 1h, migrate: {batch: 1, every: 100ms}, hooks: {rollback: [{exec: [/x]}]}")
		a.mustRollBackFromMigrating(release.Emptying, time.Hour)
	})
	t.Run("session", func(t *testing.T) {
		a := startReleases(t, "session", "bake: 0s, deadline: 1h, migrate: {batch: 1, every: 100ms}, hooks: {rollback: [{exec: [/x]}]}")
		a.mustRollBackFromMigrating(release.Draining, time.Hour)
	})
}

// mustRollBackFromMigrating takes a release back that moves its sessions, with a rollback hook that takes its time.
func (a *afternoon) mustRollBackFromMigrating(before release.State, wait time.Duration) {
	a.t.Helper()
	const players = 2000 // more than a test moves
	ends := make(chan struct{})
	a.Controller.mu.Lock()
	others := a.releases.hook
	a.releases.hook = func(ctx context.Context, r release.Record, h release.Hook) error {
		if h.Transition == "rollback" {
			<-ends
		}
		return others(ctx, r, h)
	}
	a.Controller.mu.Unlock()
	a.players(players)
	must(a.t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(a.t, err)
	a.mustBe(func(r api.Release) bool { return r.State == string(before) }, before)
	a.later(wait)
	a.mustBe(func(r api.Release) bool { return r.State == string(release.Migrating) && a.moved() > 0 }, "moving")
	_, err = a.say(api.ReleaseRollback)
	must(a.t, err)
	was := a.moved()
	a.mustBe(func(api.Release) bool { return !a.moves() || a.moved() >= was+3 }, "no eviction, or three more batches")
	if n := a.moved(); n != was {
		a.t.Errorf("%d sessions were moved after the rollback", n-was)
	}
	close(ends)
	if r := a.mustBe(func(r api.Release) bool { return r.Over || r.State == string(release.Failed) }, "over"); r.State != string(release.RolledBack) {
		a.t.Errorf("%+v", r)
	}
}

// moved is how many of generation 1 were told to move.
func (a *afternoon) moved() uint64 {
	a.t.Helper()
	must(a.t, a.sweep())
	return a.sessionsOf(1).Evicting
}

// moves says whether an eviction of the release runs.
func (a *afternoon) moves() bool {
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	for name := range a.releases.running {
		if strings.HasPrefix(name, "evict "+a.name+" ") {
			return true
		}
	}
	return false
}

package control

import (
	"context"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/release"
)

// An update that is under way when its release is taken back is stopped, and nothing else is done before it has ended: no hook
// runs beside it, and nobody comes to what it was changing.
func TestAnUpdateIsStoppedWhenItsReleaseIsTakenBack(t *testing.T) {
	m := startMonth(t, 3)
	for word, over := range map[string]release.State{api.ReleaseAbort: release.Aborted, api.ReleaseRollback: release.RolledBack} {
		t.Run(word, func(t *testing.T) {
			a := m.afternoon(t, "in-place", "busy: reset, hooks: {update: [{exec: [/x]}], abort: [{exec: [/x]}], rollback: [{exec: [/x]}]}")
			stopped, ends := make(chan error, 1), make(chan struct{})
			a.Controller.mu.Lock()
			others := a.releases.hook
			a.releases.hook = func(ctx context.Context, r release.Record, h release.Hook) error {
				if h.Transition == "update" {
					<-ctx.Done()
					stopped <- context.Cause(ctx)
					<-ends
				}
				return others(ctx, r, h)
			}
			a.Controller.mu.Unlock()
			_, err := a.say(api.ReleaseStart)
			must(t, err)
			a.mustCome(release.Updating, 0)
			r, err := a.say(word)
			must(t, err)
			if why := <-stopped; why == nil || !strings.HasPrefix(why.Error(), "release 1 is "+r.State) {
				t.Errorf("it was stopped, since %v", why)
			}
			a.later(0) // the loop looks again
			if r := a.mustBe(func(api.Release) bool { return true }); r.Over || r.Waits != "the hook of update is being stopped" {
				t.Errorf("before it has ended: %+v", r)
			}
			if !a.plane.Tables.Steer(a.index).Busy || len(a.hooks()) > 0 {
				t.Errorf("before it has ended it was opened, or %q ran", a.hooks())
			}
			close(ends)
			a.mustCome(over, 0)
			if a.mustRun("update/1", word); a.plane.Tables.Steer(a.index).Busy {
				t.Error("it is still closed")
			}
			a.Controller.mu.Lock()
			a.releases.hook = others
			a.Controller.mu.Unlock()
		})
	}
}

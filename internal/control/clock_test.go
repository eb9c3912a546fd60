package control

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/release"
)

// set is a moment as it is read after somebody has set the wall clock: the reading of the clock that nobody sets stays.
func set(t time.Time, by time.Duration) time.Time {
	const seconds = 30 // the bits below are nanoseconds, as package time has it
	*(*uint64)(unsafe.Pointer(&t)) += uint64(by/time.Second) << seconds
	return t
}

func TestAClockIsSetAsTheTestHasIt(t *testing.T) {
	now := time.Now()
	later := set(now, time.Hour)
	if d := later.Sub(now); d != 0 {
		t.Errorf("by the clock that nobody sets it is %s later", d)
	}
	if d := later.Round(0).Sub(now.Round(0)); d != time.Hour {
		t.Errorf("by the wall clock it is %s later", d)
	}
}

// A wall clock that jumps, either way, neither ends a bake nor brings a deadline on, and holds neither up.
func TestAClockThatJumpsMovesNoRelease(t *testing.T) {
	for name, by := range map[string]time.Duration{"ahead": 5 * time.Hour, "back": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			a := startReleases(t, "session", "bake: 10m, deadline: 2h, "+allHooks)
			a.players(2)
			must(t, a.sweep())
			_, err := a.say(api.ReleaseStart)
			must(t, err)
			before := a.mustCome(release.Baking, 2)
			a.Controller.mu.Lock()
			now := a.opt.Now
			a.opt.Now = func() time.Time { return set(now(), by) }
			a.changed()
			a.Controller.mu.Unlock()
			stays := func(state release.State, waits string) {
				t.Helper()
				for range 3 {
					must(t, a.sweep())
				}
				r := a.mustCome(state, 2)
				if !strings.Contains(r.Waits, waits) || r.Deadline == nil || !r.Deadline.Equal(*before.Deadline) {
					t.Errorf("%s: %+v, and before %+v", state, r, before)
				}
			}
			stays(release.Baking, "of the bake are left")
			a.later(10 * time.Minute)
			stays(release.Draining, "2 sessions are left")
			a.later(2*time.Hour - 11*time.Minute)
			stays(release.Draining, "2 sessions are left")
			a.later(2 * time.Minute)
			a.mustBe(func(r api.Release) bool {
				return r.State == string(release.Migrating) || r.State == string(release.Retiring)
			}, "moving at the deadline")
		})
	}
}

package schedule

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimesAreReadByTheClockOfTheirZone(t *testing.T) {
	now := time.Date(2026, 3, 28, 13, 30, 0, 0, time.UTC) // the day before Berlin's clocks go forward
	for _, row := range []struct{ text, zone, want string }{
		{"14:00", "", "2026-03-28T14:00:00Z"},
		{"13:30", "", "2026-03-29T13:30:00Z"},
		{"14:00", "Europe/Berlin", "2026-03-29T12:00:00Z"}, // it is half past two there
		{"15:00", "Europe/Berlin", "2026-03-28T14:00:00Z"},
		{"2026-03-30 03:30", "Europe/Berlin", "2026-03-30T01:30:00Z"},
		{"2026-03-28T18:00:00+01:00", "", "2026-03-28T17:00:00Z"},
		{"02:30", "Europe/Berlin", "2026-03-29 02:30 never comes in Europe/Berlin: its clock is put forward over it; name another time"},
		{"2026-10-25 02:30", "Europe/Berlin", "2026-10-25 02:30 comes twice in Europe/Berlin: write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"},
		{"2026-03-28 13:30", "", "2026-03-28T13:30:00Z is over"},
		{"2026-03-28T13:30:00Z", "", "2026-03-28T13:30:00Z is over"},
		{"2026-03-28T18:00:00Z", "UTC", "2026-03-28T18:00:00Z has its own zone: leave UTC out"},
		{"14:00", "Europe/Bern", "want the name of a time zone"},
		{"14:00", "Local", "want the name of a time zone"},
		{"2 pm", "", `time "2 pm": want RFC 3339, 14:00 or 2006-01-02 14:00`},
		{"24:00", "", `time "24:00": want`},
	} {
		at, err := ParseAt(row.text, row.zone, now)
		if got := at.Format(time.RFC3339); err == nil && got != row.want || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s in %q: %s, %v, want %s", row.text, row.zone, got, err, row.want)
		}
	}
}

func TestWhatIsLateByMoreThanItsGraceIsMissed(t *testing.T) {
	at := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	for late, want := range map[time.Duration]Stand{-1: Early, 0: Due, time.Minute: Due, time.Minute + 1: Missed} {
		if got := At(at.Add(late), at, time.Minute); got != want {
			t.Errorf("%s late: %d, want %d", late, got, want)
		}
	}
}

// setClock is a clock that somebody sets.
type setClock struct{ ahead atomic.Int64 }

func (c *setClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// watcher notes by that clock when what was due at a time was looked at and was so.
func (c *setClock) watch(t *testing.T, at time.Time) (done *atomic.Pointer[time.Time]) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done = new(atomic.Pointer[time.Time])
	ended := make(chan error, 1)
	go func() {
		ended <- Loop(ctx, c.now, nil, func() (time.Time, bool) {
			if now := c.now(); done.Load() == nil && At(now, at, time.Hour) == Due {
				done.Store(&now)
			}
			return at, done.Load() == nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return done
}

func TestALoopDoesWhatIsDueAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(setClock)
		at := c.now().Add(2 * time.Hour)
		done := c.watch(t, at)
		time.Sleep(2*time.Hour - 1)
		synctest.Wait()
		if done.Load() != nil {
			t.Fatal("early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !done.Load().Equal(at) {
			t.Errorf("done at %s, want %s", done.Load(), at)
		}
	})
}

func TestALoopFollowsAClockThatIsSet(t *testing.T) {
	for name, set := range map[string]time.Duration{"forward": 110 * time.Minute, "back": -30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := new(setClock)
				at := c.now().Add(2 * time.Hour)
				done := c.watch(t, at)
				time.Sleep(time.Minute + time.Second)
				synctest.Wait()
				c.ahead.Store(int64(set))
				time.Sleep(time.Until(at) - set - time.Nanosecond)
				synctest.Wait()
				if done.Load() != nil {
					t.Fatalf("done at %s by its clock, want %s", done.Load(), at)
				}
				time.Sleep(look)
				synctest.Wait()
				if first := done.Load(); first == nil || first.Before(at) || first.After(at.Add(look)) {
					t.Errorf("done at %s by its clock, want %s", done.Load(), at)
				}
				// Set back over it, it does not come again.
				first := done.Load()
				c.ahead.Store(-int64(time.Hour))
				time.Sleep(3 * time.Hour)
				synctest.Wait()
				if done.Load() != first {
					t.Error("done twice")
				}
			})
		})
	}
}

func TestALoopLooksAgainWhenSomethingHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		changed, looks := make(chan struct{}), 0
		ended := make(chan error, 1)
		go func() {
			ended <- Loop(ctx, time.Now, changed, func() (time.Time, bool) { looks++; return time.Time{}, false })
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if looks != 1 {
			t.Errorf("%d looks at nothing", looks)
		}
		changed <- struct{}{}
		synctest.Wait()
		if looks != 2 {
			t.Errorf("%d looks, want 2", looks)
		}
		cancel()
		<-ended
	})
}

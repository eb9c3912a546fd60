// Package schedule says when something that somebody wants done later is due. It knows no clock of its own.
package schedule

import (
	"context"
	"fmt"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// The forms of a time: a clock alone is the next time that it shows that.
const (
	clockForm = "15:04"
	dayForm   = "2006-01-02 15:04"
)

// ParseAt reads when something shall be done: RFC 3339, or what the wall clock of a zone shows, with or without the day. The
// zone "" is UTC. What is over, what the clock leaves out and what it shows twice is refused.
func ParseAt(text, zone string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if zone != "" {
			return at, fmt.Errorf("%s has its own zone: leave %s out", text, zone)
		}
		return future(at, now)
	}
	if zone == "" {
		zone = "UTC"
	}
	place, err := config.LoadZone(zone)
	if err != nil {
		return time.Time{}, err
	}
	if day, err := time.Parse(dayForm, text); err == nil {
		at, err := once(day, place)
		if err != nil {
			return at, err
		}
		return future(at, now)
	}
	clock, err := time.Parse(clockForm, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: want RFC 3339, 14:00 or 2006-01-02 14:00", text)
	}
	here := now.In(place)
	for day := range 2 { // today, or else tomorrow
		shown := time.Date(here.Year(), here.Month(), here.Day()+day, clock.Hour(), clock.Minute(), 0, 0, time.UTC)
		at, err := once(shown, place)
		if err != nil || at.After(now) {
			return at, err
		}
	}
	return time.Time{}, fmt.Errorf("time %q: it does not come", text)
}

func future(at, now time.Time) (time.Time, error) {
	if !at.After(now) {
		return at, fmt.Errorf("%s is over", at.Format(time.RFC3339))
	}
	return at.UTC(), nil
}

// once is the moment at which the clock of a place shows what a clock in UTC would.
func once(shown time.Time, place *time.Location) (time.Time, error) {
	var hits []time.Time
	for _, probe := range []time.Duration{-26 * time.Hour, 26 * time.Hour} { // more than any zone was ever changed by
		_, offset := shown.Add(probe).In(place).Zone()
		at := shown.Add(-time.Duration(offset) * time.Second)
		if _, is := at.In(place).Zone(); is == offset && (len(hits) == 0 || !hits[0].Equal(at)) {
			hits = append(hits, at)
		}
	}
	text := shown.Format(dayForm)
	switch len(hits) {
	case 0:
		return time.Time{}, fmt.Errorf("%s never comes in %s: its clock is put forward over it; name another time", text, place)
	case 1:
		return hits[0].UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%s comes twice in %s: write %s or %s",
		text, place, hits[0].In(place).Format(time.RFC3339), hits[1].In(place).Format(time.RFC3339))
}

// Stand is where something scheduled stands at a moment.
type Stand int

// The stands.
const (
	Early Stand = iota
	Due
	Missed // it was due so long ago that nobody expects it any more
)

// At gives the stand at a moment of what is to be done at a time, or a grace later.
func At(now, at time.Time, grace time.Duration) Stand {
	switch late := now.Sub(at); {
	case late < 0:
		return Early
	case late <= grace:
		return Due
	}
	return Missed
}

// look is the longest sleep: a clock that somebody sets does not wake a sleeper.
const look = 15 * time.Second

// Loop calls do at once, when the time that it gives has come, and when something has changed, until the context ends. The
// clock now may be set forward and back meanwhile.
func Loop(ctx context.Context, now func() time.Time, changed <-chan struct{}, do func() (next time.Time, pending bool)) error {
	for {
		sleep := time.Duration(1<<63 - 1)
		if next, pending := do(); pending {
			// Without the monotonic part: it is the clock on the wall that says when.
			sleep = min(look, max(0, next.Round(0).Sub(now().Round(0))))
		}
		timer := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

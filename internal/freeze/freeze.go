// Package freeze says when services are not to be changed, by the freeze windows of the configuration. It is a calendar:
// it knows no clock of its own.
//
// A window begins and ends by the wall clock of its time zone: one from Friday 18:00 for 60h ends on Monday at 06:00, on
// the weekend on which clocks change, too. Where that clock leaves out or repeats an hour the window is the longer one: a
// time that comes twice begins a window the first time and ends one the second time, and one that never comes is the
// moment at which the clock jumps.
package freeze

import (
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Window is a time in which a service is not changed. From and Until are in UTC.
type Window struct {
	From, Until time.Time
	Reason      string
}

// Calendar is all windows. The zero Calendar has none. It remembers what it was asked last, so it is not safe for
// concurrent use.
type Calendar struct{ entries []*entry }

// New makes a calendar of what a file says.
func New(freezes []config.Freeze) (*Calendar, error) {
	c := new(Calendar)
	for i, f := range freezes {
		begins, err := config.ParseCron(f.Cron)
		if err != nil {
			return nil, fmt.Errorf("freeze window %d: cron: %w", i, err)
		}
		zone, err := config.LoadZone(f.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("freeze window %d: time_zone: %w", i, err)
		}
		c.entries = append(c.entries, &entry{f, begins, zone, memo{}, memo{}})
	}
	return c, nil
}

// mostJoined bounds how many windows that touch are told as one.
const mostJoined = 100

// Holds gives the window in which a service is at a moment, if it is in one. Until is when changes may happen again:
// windows that overlap or touch are one.
func (c *Calendar) Holds(service string, now time.Time) (Window, bool) {
	w, held := c.longest(service, now)
	if !held {
		return Window{}, false
	}
	for range mostJoined {
		next, goesOn := c.longest(service, w.Until)
		if !goesOn {
			break
		}
		w.Until = next.Until
	}
	return w, true
}

// longest is the one that ends last of the windows at a moment.
func (c *Calendar) longest(service string, now time.Time) (longest Window, found bool) {
	for _, e := range c.entries {
		if w, ok := e.lasts.of(now, e.last); ok && e.concerns(service) && w.Until.After(now) && w.Until.After(longest.Until) {
			longest, found = w, true
		}
	}
	return longest, found
}

// Next gives the first window of a service that begins after a moment.
func (c *Calendar) Next(service string, now time.Time) (first Window, found bool) {
	for _, e := range c.entries {
		if w, ok := e.nexts.of(now, e.next); ok && e.concerns(service) && (!found || w.From.Before(first.From)) {
			first, found = w, true
		}
	}
	return first, found
}

// entry is a window that comes back.
type entry struct {
	config.Freeze
	begins cron.Schedule // asked with wall clock times that are called UTC
	zone   *time.Location

	lasts, nexts memo
}

// memo keeps answers: many services are asked about at the same few moments.
type memo map[time.Time]answer

type answer struct {
	window Window
	ok     bool
}

// mostKept bounds a memo.
const mostKept = 16

func (m *memo) of(at time.Time, ask func(time.Time) (Window, bool)) (Window, bool) {
	at = at.UTC().Round(0)
	a, known := (*m)[at]
	if !known {
		if len(*m) >= mostKept || *m == nil {
			*m = memo{}
		}
		a.window, a.ok = ask(at)
		(*m)[at] = a
	}
	return a.window, a.ok
}

func (e *entry) concerns(service string) bool {
	return len(e.Services) == 0 || slices.Contains(e.Services, service)
}

// slack is more than any zone ever put its clock forward or back by.
const slack = 26 * time.Hour

// last gives the last window that began at a moment or before, if that may be in it.
func (e *entry) last(now time.Time) (Window, bool) {
	from, to := wall(now, e.zone).Add(-e.For-slack), wall(now, e.zone).Add(slack)
	begun := func(after time.Time) bool {
		s := e.begins.Next(after)
		return !s.IsZero() && !e.window(s).From.After(now)
	}
	if !begun(from) {
		return Window{}, false
	}
	for to.Sub(from) > time.Minute { // begun(from) holds, begun(to) does not
		if mid := from.Add(to.Sub(from) / 2); begun(mid) {
			from = mid
		} else {
			to = mid
		}
	}
	return e.window(e.begins.Next(from)), true
}

// next gives the first window that begins after a moment. One that an hour which is left out has swallowed is none.
func (e *entry) next(now time.Time) (Window, bool) {
	for s := e.begins.Next(wall(now, e.zone).Add(-slack)); !s.IsZero(); s = e.begins.Next(s) {
		if w := e.window(s); w.From.After(now) && w.Until.After(w.From) {
			return w, true
		}
	}
	return Window{}, false
}

// window is the one that begins at a time of the wall clock.
func (e *entry) window(begin time.Time) Window {
	first, _ := instants(begin, e.zone)
	_, last := instants(begin.Add(e.For), e.zone)
	return Window{From: first.UTC(), Until: last.UTC(), Reason: e.Reason}
}

// wall is what the clock on a wall of the zone shows, called UTC so that it can be counted with.
func wall(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instants are the first and the last moment at which the wall clock shows a time: two where it is put back over it. Where
// it is put forward over it, both are that moment.
func instants(shown time.Time, zone *time.Location) (first, last time.Time) {
	near := shown.UTC()
	var hits []time.Time
	for _, probe := range []time.Time{near.Add(-slack), near.Add(slack)} {
		_, offset := probe.In(zone).Zone()
		if t := near.Add(-time.Duration(offset) * time.Second); wall(t, zone).Equal(near) {
			hits = append(hits, t)
		}
	}
	if len(hits) == 0 {
		return jump(near, zone)
	}
	slices.SortFunc(hits, time.Time.Compare)
	return hits[0], hits[len(hits)-1]
}

// jump is the moment at which a clock is put forward over a time.
func jump(shown time.Time, zone *time.Location) (first, last time.Time) {
	t := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, zone)
	begin, end := t.ZoneBounds()
	if wall(t, zone).Before(shown) {
		begin = end
	}
	return begin, begin
}

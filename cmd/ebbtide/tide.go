package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// quiet is how long nothing is printed about a generation whose state stays
// the same, where each line stays.
const quiet = 5 * time.Second

// tide shows generations as they drain, and knows at the end what came of it.
type tide struct {
	c       *cli
	format  format
	last    map[string]api.DrainProgress // by service and generation
	printed map[string]time.Time
	open    bool // the cursor is on the live line
	done    bool
}

func newTide(c *cli, f format) *tide {
	return &tide{c: c, format: f, last: map[string]api.DrainProgress{}, printed: map[string]time.Time{}}
}

// see takes the next progress.
func (t *tide) see(p api.DrainProgress) error {
	which := fmt.Sprintf("%s %010d", p.Service, p.Generation.Number) // in the order of both
	before, known := t.last[which]
	t.last[which] = p
	t.done = p.Done
	if t.format != asTable {
		return t.c.emit(t.format, p)
	}
	if t.c.terminal {
		return t.live(p)
	}
	now := t.c.now()
	if known && before.State == p.State && now.Sub(t.printed[which]) < quiet {
		return nil
	}
	t.printed[which] = now
	_, err := fmt.Fprintln(t.c.stdout, progressLine(p, now))
	return err
}

// live writes over the line before. It is clipped and not wrapped, because
// only one row can be written over; the last of a generation stays, whole.
func (t *tide) live(p api.DrainProgress) error {
	t.open = !p.Done && (p.State == api.StateDraining || p.State == api.StateInconclusive)
	line := "\r\x1b[?7l%s\x1b[K\x1b[?7h"
	if !t.open {
		line = "\r%s\x1b[K\n"
	}
	_, err := fmt.Fprintf(t.c.stdout, line, t.c.paint(mood(p), progressLine(p, t.c.now())))
	return err
}

// mood is the colour of a progress: what wants a look is red.
func mood(p api.DrainProgress) string {
	switch {
	case p.State == api.StateDrained:
		return green
	case p.State == api.StateInconclusive || p.State == api.StateEnded || p.Verdict == api.VerdictStuck || p.NewSinceFlip > 0:
		return red
	}
	return ""
}

// end leaves the live line.
func (t *tide) end() {
	if t.open {
		fmt.Fprintln(t.c.stdout)
	}
}

// doubt is an error when a generation is inconclusive.
func (t *tide) doubt() error {
	for _, which := range slices.Sorted(maps.Keys(t.last)) {
		if p := t.last[which]; p.State == api.StateInconclusive {
			return fmt.Errorf("%s: inconclusive: %s", nameOf(p.Generation), p.Reason)
		}
	}
	return nil
}

// verdict is nil only when everything that was watched is drained.
func (t *tide) verdict() error {
	var left error
	for _, which := range slices.Sorted(maps.Keys(t.last)) {
		switch p := t.last[which]; p.State {
		case api.StateDrained, api.StateInconclusive:
		case api.StateEnded:
			return exitError{exitEnded, fmt.Errorf("%s: the drain was ended by a %s", nameOf(p.Generation), p.EndedBy)}
		default:
			left = fmt.Errorf("%s: %s when the wait ended", nameOf(p.Generation), p.State)
		}
	}
	if !t.done {
		left = errors.New("the daemon ended the wait before the drain")
	}
	return cmp.Or(t.doubt(), left)
}

func progressLine(p api.DrainProgress, now time.Time) string {
	if p.Generation.Number == 0 {
		return p.Service + ": nothing drains"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", p.Service, nameOf(p.Generation))
	switch p.State {
	case api.StateDrained:
		fmt.Fprintf(&b, "drained, %d new sessions since the flip", p.NewSinceFlip)
	case api.StateEnded:
		fmt.Fprintf(&b, "ended by a %s with %d left", p.EndedBy, p.Left.Total)
	case api.StateInconclusive:
		fmt.Fprintf(&b, "inconclusive with %d left: %s", p.Left.Total, p.Reason)
	default:
		fmt.Fprintf(&b, "%d left%s, ", p.Left.Total, lingering(p.Left))
		if p.Left.Evicting > 0 {
			fmt.Fprintf(&b, "%d of them evicting, ", p.Left.Evicting)
		}
		b.WriteString(estimate(p, now))
	}
	if p.NewSinceFlip > 0 && p.State != api.StateDrained {
		fmt.Fprintf(&b, ", %d new since the flip", p.NewSinceFlip)
	}
	if p.Reopened > 0 {
		fmt.Fprintf(&b, ", %d reopened", p.Reopened)
	}
	return b.String()
}

// lingering tells of the clients whose flows have ended, and who may come back yet.
func lingering(s api.Sessions) string {
	if s.Lingering == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d lingering)", s.Lingering)
}

func estimate(p api.DrainProgress, now time.Time) string {
	rate := fmt.Sprintf("%.1f/s leave", p.RatePerSecond)
	switch {
	case p.Verdict == api.VerdictStuck || p.Verdict == api.VerdictDeadline:
		return fmt.Sprintf("%s, %s: %s", rate, p.Verdict, p.Evidence)
	case p.Forecast != nil:
		return rate + ", " + foretold(*p.Forecast, now)
	case p.EmptyAt == nil:
		return rate
	}
	return fmt.Sprintf("%s, empty in %s", rate, max(0, p.EmptyAt.Sub(now)).Round(time.Second))
}

// foretold is a forecast in the time of where the asker is.
func foretold(f api.DrainForecast, now time.Time) string {
	layout := "15:04:05"
	switch far := f.High.Sub(now); {
	case far > 20*time.Hour:
		layout = "2 Jan 15:04"
	case far > 10*time.Minute:
		layout = "15:04"
	}
	at := func(t time.Time) string { return t.In(now.Location()).Format(layout) }
	s := fmt.Sprintf("empty at about %s (%s to %s)", at(f.Median), at(f.Low), at(f.High))
	if f.Extrapolated {
		s += ", beyond the longest that has ended"
	}
	if f.OlderThan99 > 0 {
		s += fmt.Sprintf(", %d older than 99%% of all", f.OlderThan99)
	}
	return s
}

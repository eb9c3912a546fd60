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
	last    map[uint32]api.DrainProgress // by generation
	printed map[uint32]time.Time
	open    bool // the cursor is on the live line
	done    bool
}

func newTide(c *cli, f format) *tide {
	return &tide{c: c, format: f, last: map[uint32]api.DrainProgress{}, printed: map[uint32]time.Time{}}
}

// see takes the next progress.
func (t *tide) see(p api.DrainProgress) error {
	number := p.Generation.Number
	before, known := t.last[number]
	t.last[number] = p
	t.done = p.Done
	if t.format != asTable {
		return t.c.emit(t.format, p)
	}
	if t.c.terminal {
		return t.live(p)
	}
	now := t.c.now()
	if known && before.State == p.State && now.Sub(t.printed[number]) < quiet {
		return nil
	}
	t.printed[number] = now
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
	_, err := fmt.Fprintf(t.c.stdout, line, progressLine(p, t.c.now()))
	return err
}

// end leaves the live line.
func (t *tide) end() {
	if t.open {
		fmt.Fprintln(t.c.stdout)
	}
}

// doubt is an error when a generation is inconclusive.
func (t *tide) doubt() error {
	for _, number := range slices.Sorted(maps.Keys(t.last)) {
		if p := t.last[number]; p.State == api.StateInconclusive {
			return fmt.Errorf("%s: inconclusive: %s", nameOf(p.Generation), p.Reason)
		}
	}
	return nil
}

// verdict is nil only when everything that was watched is drained.
func (t *tide) verdict() error {
	var left error
	for _, number := range slices.Sorted(maps.Keys(t.last)) {
		switch p := t.last[number]; p.State {
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
		fmt.Fprintf(&b, "%d left, %s", p.Left.Total, estimate(p, now))
	}
	if p.NewSinceFlip > 0 && p.State != api.StateDrained {
		fmt.Fprintf(&b, ", %d new since the flip", p.NewSinceFlip)
	}
	if p.Reopened > 0 {
		fmt.Fprintf(&b, ", %d reopened", p.Reopened)
	}
	return b.String()
}

func estimate(p api.DrainProgress, now time.Time) string {
	rate := fmt.Sprintf("%.1f/s leave", p.RatePerSecond)
	if p.EmptyAt == nil {
		return rate
	}
	return fmt.Sprintf("%s, empty in %s", rate, max(0, p.EmptyAt.Sub(now)).Round(time.Second))
}

package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
)

// ErrNone says that there is no such release, and no flip either.
var ErrNone = errors.New("nothing of that kind was ever done")

// Build makes the report of a release from the journal's events of its service, all of them, and the samples of it.
func Build(service string, number uint32, events []journal.Event, samples []Sample) (api.Report, error) {
	r := api.Report{Service: service}
	first, last, ok := span(&r, number, events)
	if !ok {
		return r, ErrNone
	}
	b := builder{report: &r, open: map[uint64]int{}, hooks: map[uint64]int{}}
	for _, e := range events {
		brought := e.Seq == first || e.Of == first // of no single service
		if e.Seq >= first && e.Seq <= last && (e.Service == service || brought) {
			b.add(e)
		}
	}
	r.FirstEvent, r.LastEvent = first, last
	r.Sessions = seriesOf(r, samples)
	r.Forecasts = forecastsOf(r, samples)
	if r.Moved == nil {
		r.Moved = movedOf(r, samples)
	}
	return r, nil
}

// span finds the first and the last event of a release, and what the report begins with.
func span(r *api.Report, number uint32, events []journal.Event) (first, last uint64, ok bool) {
	var found *release.Record
	flip := -1
	for i, e := range events {
		rec, its := releaseOf(e)
		switch {
		case e.Service != r.Service:
		case its && (rec.Number == number || number == 0 && (found == nil || rec.Number >= found.Number)):
			if found == nil || found.Number != rec.Number {
				first, flip = e.Seq, -1
			}
			found, last = &rec, e.Seq
		case number == 0 && byHand(e):
			flip = i
		}
	}
	if flip >= 0 {
		return handSpan(r, events, flip)
	}
	if found == nil {
		return 0, 0, false
	}
	record(r, *found)
	if !found.State.Over() {
		last = events[len(events)-1].Seq
	}
	return staged(*r, events, first), last, true
}

// byHand is of a flip that no release made.
func byHand(e journal.Event) bool {
	return e.Act == "flip" && e.Stage == journal.Begun && !(e.Actor.Daemon && strings.HasPrefix(e.Reason, "release "))
}

// handSpan is of a flip by hand: until the next flip that is none of its rollbacks.
func handSpan(r *api.Report, events []journal.Event, at int) (first, last uint64, ok bool) {
	e := events[at]
	var was, is liveIs
	if json.Unmarshal(e.Before, &was) != nil || json.Unmarshal(e.After, &is) != nil {
		return 0, 0, false
	}
	r.Strategy, r.From, r.To, r.By, r.Reason, r.Begun = "session", was.Live, is.Live, e.Actor.String(), e.Reason, e.Time
	r.State = "flipped"
	return staged(*r, events, e.Seq), events[len(events)-1].Seq, true
}

// record takes over what a release's newest record says.
func record(r *api.Report, rec release.Record) {
	ref := func(g release.Generation) api.GenerationRef { return api.GenerationRef(g) }
	r.Release, r.Strategy, r.State, r.Why = rec.Number, string(rec.Plan.Strategy), string(rec.State), rec.Why
	r.From, r.To, r.By, r.Reason, r.Begun = ref(rec.From), ref(rec.To), rec.By, rec.Reason, rec.Begun
	r.Flipped, r.Finished = when(rec.Flipped), when(rec.Finished)
	if r.Flipped != nil {
		r.AtFlip = &rec.AtFlip
	}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// staged is the first event of a release, when what brought its generation is counted in.
func staged(r api.Report, events []journal.Event, first uint64) uint64 {
	for _, e := range slices.Backward(events) {
		if e.Seq < first && (e.Act == "reload" || e.Act == "start" || e.Act == "stage") && brings(e, r.Service, r.To.Number) {
			return e.Seq
		}
	}
	return first
}

// brings says whether an act brought a generation.
func brings(e journal.Event, service string, number uint32) bool {
	var file struct{ Changes []api.Change }
	if e.Stage != journal.Begun || json.Unmarshal(e.After, &file) != nil {
		return false
	}
	return slices.ContainsFunc(file.Changes, func(c api.Change) bool {
		var n uint32
		got, _ := fmt.Sscanf(c.What, "new generation %d on ", &n)
		return got == 1 && n == number && c.Service == service
	})
}

// seriesOf are the counts of the generations that the report is about, and of those that drain beside them.
func seriesOf(r api.Report, samples []Sample) []api.ReportSeries {
	points := map[uint32][]api.ReportPoint{}
	for _, s := range samples {
		if r.Finished != nil && s.At.After(r.Finished.Add(time.Minute)) {
			break
		}
		for _, g := range s.Generations {
			points[g.Number] = append(points[g.Number], api.ReportPoint{At: s.At, Sessions: g.Sessions, New: g.New})
		}
	}
	out := []api.ReportSeries{}
	numbers := make([]uint32, 0, len(points))
	for n := range points {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		ref := api.GenerationRef{Number: n}
		for _, known := range []api.GenerationRef{r.From, r.To} {
			if known.Number == n {
				ref = known
			}
		}
		out = append(out, api.ReportSeries{Generation: ref, Points: points[n]})
	}
	return out
}

// movedOf is what the last sample says that the old generation lost since the first.
func movedOf(r api.Report, samples []Sample) *uint64 {
	var first, last *uint64
	for _, s := range samples {
		for _, g := range s.Generations {
			if g.Number == r.From.Number {
				if moved := g.Moved; first == nil {
					first, last = &moved, &moved
				} else {
					last = &moved
				}
			}
		}
	}
	if first == nil || *last < *first {
		return nil
	}
	n := *last - *first
	return &n
}

// forecastTold is how often what was said is told again: each time that a tenth of the sessions more has gone.
const forecastTold = 10

// forecastsOf sets what was said of the old generation against what came.
func forecastsOf(r api.Report, samples []Sample) []api.ReportForecast {
	out := []api.ReportForecast{}
	if r.Flipped == nil {
		return out
	}
	most, told := uint64(0), uint64(0)
	for _, s := range samples {
		for _, g := range s.Generations {
			if g.Number != r.From.Number || s.At.Before(*r.Flipped) || r.Drained != nil && s.At.After(*r.Drained) {
				continue
			}
			most = max(most, g.Sessions)
			if g.EmptyAt == nil || g.Sessions == 0 || len(out) > 0 && (told-min(told, g.Sessions))*forecastTold < most {
				continue
			}
			told = g.Sessions
			f := api.ReportForecast{At: s.At, Left: g.Sessions, Said: *g.EmptyAt}
			if r.Drained != nil {
				off := r.Drained.Sub(*g.EmptyAt).Seconds()
				f.OffSeconds = &off
			}
			out = append(out, f)
		}
	}
	return out
}

package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// fact is a line of a report's head.
type fact struct{ Name, Text string }

// title is the head of a report.
func title(r api.Report) string {
	if r.Release == 0 {
		return fmt.Sprintf("%s: a flip by hand to version %s", r.Service, r.To.Version)
	}
	return fmt.Sprintf("%s: release %d, version %s", r.Service, r.Release, r.To.Version)
}

// facts are what both pages say first.
func facts(r api.Report) []fact {
	out := []fact{
		{"from", refText(r.From)}, {"to", refText(r.To)}, {"strategy", orDash(r.Strategy)},
		{"ended as", strings.TrimSuffix(r.State+": "+r.Why, ": ")}, {"by", orDash(r.By)}, {"reason", orDash(r.Reason)}, {"begun", moment(r.Begun)},
	}
	add := func(name string, at *time.Time, since *time.Time) {
		if at == nil {
			return
		}
		text := moment(*at)
		if since != nil {
			text += fmt.Sprintf(" (%s later)", lasting(at.Sub(*since)))
		}
		out = append(out, fact{name, text})
	}
	add("flipped", r.Flipped, &r.Begun)
	add("drained", r.Drained, r.Flipped)
	add("finished", r.Finished, &r.Begun)
	count := func(name string, n *uint64) {
		if n != nil {
			out = append(out, fact{name, fmt.Sprint(*n)})
		}
	}
	count("sessions on the old generation at the flip", r.AtFlip)
	count("new sessions on it since (must be 0)", r.NewOnOld)
	count("SYNs on its established flows since", r.Reopened)
	count("sessions moved off it", r.Moved)
	out = append(out, fact{"journal", fmt.Sprintf("events %d to %d", r.FirstEvent, r.LastEvent)})
	if r.Unread > 0 {
		out = append(out, fact{"events that could not be read", fmt.Sprint(r.Unread)})
	}
	return out
}

func refText(g api.GenerationRef) string {
	if g.Number == 0 {
		return "nothing"
	}
	return nameOf(g) + ", version " + g.Version
}

// lasting is a duration in seconds, with fractions only where it is short.
func lasting(d time.Duration) string {
	if d > 10*time.Second || d < -10*time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

func seconds(s float64) string { return lasting(time.Duration(s * float64(time.Second))) }

func number(n *float64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf("%.4g", *n)
}

// table is one of a report, with cells as they are.
type table struct {
	Title   string
	Columns []string
	Rows    [][]string
	None    string // instead of no rows
}

// tables are those that both pages have.
func tables(r api.Report) []table {
	return []table{timelineTable(r), gateTable(r), hookTable(r), forecastTable(r)}
}

func timelineTable(r api.Report) table {
	t := table{"Timeline", []string{"event", "time", "by", "act", "what", "outcome", "reason"}, nil, "Nothing was done."}
	for _, e := range r.Timeline {
		outcome := orDash(e.Outcome)
		if e.Seconds > 0 {
			outcome += " in " + seconds(e.Seconds)
		}
		t.Rows = append(t.Rows, []string{fmt.Sprint(e.Event), moment(e.At), e.By, e.Act, orDash(e.What), outcome, orDash(e.Reason)})
	}
	return t
}

func gateTable(r api.Report) table {
	t := table{"Gates", []string{"time", "gate", "verdict", "value", "before", "threshold", "test", "p", "power", "detail"}, nil, "No gate said anything."}
	for _, g := range r.Gates {
		t.Rows = append(t.Rows, []string{moment(g.At), g.Gate, g.Verdict, number(g.Value), number(g.Before), orDash(g.Threshold), orDash(g.Test),
			number(g.P), number(g.Power), orDash(g.Detail)})
	}
	return t
}

func hookTable(r api.Report) table {
	t := table{"Hooks", []string{"time", "transition", "hook", "outcome", "attempts", "took", "output"}, nil, "No hook was run."}
	for _, h := range r.Hooks {
		outcome := h.Outcome
		if h.Reason != "" {
			outcome += ": " + h.Reason
		}
		t.Rows = append(t.Rows, []string{moment(h.At), h.Transition, h.Hook, outcome, fmt.Sprint(h.Attempts), seconds(h.Seconds), orDash(h.Output)})
	}
	return t
}

func forecastTable(r api.Report) table {
	t := table{"Forecast and what came", []string{"time", "sessions left", "said: empty at", "was empty"}, nil, "Nothing was forecast."}
	for _, f := range r.Forecasts {
		came := "not yet"
		switch {
		case f.OffSeconds == nil:
		case *f.OffSeconds >= 0:
			came = seconds(*f.OffSeconds) + " later"
		default:
			came = seconds(-*f.OffSeconds) + " earlier"
		}
		t.Rows = append(t.Rows, []string{moment(f.At), fmt.Sprint(f.Left), moment(f.Said), came})
	}
	return t
}

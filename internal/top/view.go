package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/ebbtide/ebbtide/internal/api"
)

// The chart gets what the rest leaves, within these. Where there is room, so many events have it.
const (
	minChart = 3
	maxChart = 24
	someNews = 5
	barWidth = 20
)

func (s screen) View() tea.View {
	v := tea.NewView("")
	v.AltScreen = true
	v.WindowTitle = "ebbtide top"
	if s.width == 0 {
		return v
	}
	above, below := s.heading(), s.footing()
	lines := append(above, s.body(s.height-len(above)-len(below))...)
	for len(lines) < s.height-len(below) {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, s.height-len(below))], below...)
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, s.width, "…")
	}
	v.SetContent(strings.Join(lines, "\n"))
	return v
}

// heading says what is shown, and whether it is of now.
func (s screen) heading() []string {
	if s.at.IsZero() {
		if s.away != nil {
			return []string{s.paint(alarm, s.away.Error())}
		}
		return []string{"ebbtide: asking the daemon …"}
	}
	line := s.paint(head, "ebbtide "+s.status.Version) + fmt.Sprintf("  up %s  %s", s.at.Sub(s.status.StartedAt).Round(time.Second), s.at.Format("15:04:05"))
	for _, t := range s.status.Tables {
		if t.Slots > 0 {
			line += fmt.Sprintf("  %s table %d%% full", t.Family, 100*t.Used/t.Slots)
		}
	}
	out := []string{line, s.tabs()}
	if s.away != nil {
		out = append(out, s.paint(alarm, fmt.Sprintf("what is shown is old: %v; packets go on", s.away)))
	}
	return out
}

// tabs are the services, the one that is shown in brackets.
func (s screen) tabs() string {
	names := make([]string, len(s.status.Services))
	for i, svc := range s.status.Services {
		names[i] = " " + svc.Name + " "
		if svc.Name == s.service {
			names[i] = s.paint(reverse, "["+svc.Name+"]")
		}
	}
	return strings.Join(names, " ")
}

// footing is the keys, or the question that waits for an answer.
func (s screen) footing() []string {
	if s.asked != nil {
		return s.question()
	}
	var out []string
	if s.said != "" {
		i := head
		if s.saidBad {
			i = alarm
		}
		out = append(out, wrap(s.paint(i, s.said), s.width)...)
	}
	if s.help {
		out = append(out, wrap("Each verb says first what it will do to how many sessions, and waits for y. tab or an arrow shows another service, q ends.", s.width)...)
	}
	words := make([]string, 0, len(keys)+3)
	for _, k := range keys {
		words = append(words, s.paint(head, k.press)+" "+k.word)
	}
	words = append(words, s.paint(head, "tab")+" service", s.paint(head, "?")+" help", s.paint(head, "q")+" quit")
	return append(out, pack(words, s.width)...)
}

// pack puts as many words in a line as it holds, each of them whole.
func pack(words []string, width int) []string {
	lines := []string{""}
	for _, w := range words {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = w
		case ansi.StringWidth(*last)+2+ansi.StringWidth(w) <= width:
			*last += "  " + w
		default:
			lines = append(lines, w)
		}
	}
	return lines
}

func (s screen) question() []string {
	out := []string{s.paint(head, fmt.Sprintf("%s %s?", s.asked.verb, s.asked.service))}
	svc, _ := s.named(s.asked.service) // another one may be shown by now: a plan is waited for
	for line := range strings.Lines(s.asked.question(s.status, svc)) {
		out = append(out, wrap(strings.TrimSuffix(line, "\n"), s.width)...)
	}
	answer := s.paint(head, "y") + " " + s.asked.verb + "  any other key leaves it"
	if room := s.height - 4; len(out) > room && room > 0 { // the answer has to be seen
		out = append(out[:room], "…")
	}
	return append(out, answer)
}

func wrap(text string, width int) []string {
	return strings.Split(ansi.Wordwrap(text, max(1, width), " "), "\n")
}

// body is about the service that is shown.
func (s screen) body(room int) []string {
	svc, ok := s.shown()
	if !ok {
		return nil
	}
	notes := s.notes(svc)
	table := s.table(svc)
	room -= len(table) + len(notes)
	news := s.newest(svc.Name, min(someNews, room/4))
	high := min(maxChart, room-len(news)-1)
	var out []string
	if high >= minChart {
		out = s.seen[svc.Name].chart(bands(svc), s.width, high, s.opt.Interval, s.paint)
	}
	out = append(append(out, table...), notes...)
	for _, e := range news {
		out = append(out, s.paint(faint, e))
	}
	return out
}

// bands are the generations of a chart: what drains lies at the bottom.
func bands(svc api.Service) (out []band) {
	var above []band
	for _, g := range svc.Generations {
		b := band{g.Number, inkOf(g.GenerationRef)}
		if g.Number == svc.Live.Number {
			above = append(above, b)
		} else {
			out = append(out, b)
		}
	}
	return append(out, above...)
}

func (s screen) table(svc api.Service) []string {
	out := []string{s.paint(faint, fmt.Sprintf("  %-22s %-12s %8s %8s %9s %9s", "GENERATION", "STATE", "SESSIONS", "NEW/S", "PACKETS/S", "BITS/S"))}
	for _, g := range svc.Generations {
		i := inkOf(g.GenerationRef)
		name := fmt.Sprintf("%d %s %s", g.Number, g.Colour, g.Version)
		r, ok := s.seen[svc.Name].rate(g.Number)
		figure := func(f float64) string {
			if !ok {
				return "-"
			}
			return short(f)
		}
		out = append(out, s.paint(i, i.full)+fmt.Sprintf(" %-22s %-12s %8d %8s %9s %9s", ansi.Truncate(name, 22, "…"), g.State,
			g.Sessions.Total, figure(r.new), figure(r.packets), figure(r.bits)))
		if line := s.drainLine(svc, g); line != "" {
			out = append(out, "  "+line)
		}
	}
	return out
}

// drainLine is empty of what does not drain.
func (s screen) drainLine(svc api.Service, g api.Generation) string {
	if g.State != api.StateDraining && g.State != api.StateInconclusive {
		return ""
	}
	whole := max(1, s.seen[svc.Name].peak(g.Number))
	for _, r := range svc.Releases {
		if r.From.Number == g.Number {
			whole = max(whole, r.AtFlip)
		}
	}
	gone := 1 - float64(g.Sessions.Total)/float64(whole)
	line := bar(inkOf(g.GenerationRef), gone, barWidth, s.paint) + fmt.Sprintf(" %.0f%% gone", 100*gone)
	p, known := s.drains[drainKey(svc.Name, g.Number)]
	switch {
	case g.State == api.StateInconclusive:
		line += ", inconclusive: " + g.Reason
	case known && p.State == api.StateDraining:
		line += ", " + s.opt.Outlook(p, s.at)
	}
	if g.NewSinceFlip > 0 {
		line += s.paint(alarm, fmt.Sprintf(", %d new since the flip", g.NewSinceFlip))
	}
	return line
}

// notes are what else there is to know.
func (s screen) notes(svc api.Service) (out []string) {
	if svc.Problem != "" {
		out = append(out, s.paint(alarm, "problem: "+svc.Problem))
	}
	for _, r := range svc.Releases {
		line := fmt.Sprintf("release %d (%s): %s", r.Number, r.Strategy, r.State)
		if r.Steps > 0 {
			line += fmt.Sprintf(" %d of %d", r.Step, r.Steps)
		}
		if r.Waits != "" {
			line += ", waits: " + r.Waits
		}
		out = append(out, line)
		for _, g := range r.Gates {
			out = append(out, fmt.Sprintf("  gate %s: %s %s", g.Gate, g.Verdict, g.Detail))
		}
	}
	if c := svc.Canary; c != nil && c.Since != nil {
		out = append(out, fmt.Sprintf("share of generation %d: %s of the clients", c.Candidate.Number, api.Percent(c.TenThousandths)))
	}
	if svc.Lock != nil {
		out = append(out, "locked until "+svc.Lock.Until.In(s.at.Location()).Format("15:04")+": "+svc.Lock.Reason)
	}
	if svc.Closed != "" {
		out = append(out, s.paint(alarm, "closed: new sessions are told so by "+svc.Closed))
	}
	return out
}

// newest are the last events of a service, in at most so many lines.
func (s screen) newest(service string, room int) (out []string) {
	for i := len(s.events) - 1; i >= 0 && len(out) < room; i-- {
		if e := s.events[i]; e.Service == service {
			out = append(out, fmt.Sprintf("%s  %s %s  %s", e.Time.In(s.at.Location()).Format("15:04:05"), e.Act, e.Stage, e.Reason))
		}
	}
	return out
}

// short writes a rate with three digits.
func short(f float64) string {
	for _, unit := range []string{"", "k", "M", "G"} {
		switch {
		case f < 10 && (unit != "" || f != float64(int(f))):
			return fmt.Sprintf("%.1f%s", f, unit)
		case f < 1000:
			return fmt.Sprintf("%.0f%s", f, unit)
		}
		f /= 1000
	}
	return fmt.Sprintf("%.0fT", f)
}

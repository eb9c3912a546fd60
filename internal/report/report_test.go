package report_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
	"github.com/ebbtide/ebbtide/internal/report"
)

// told are a journal's events, a minute apart.
type told struct {
	tb     testing.TB
	events []journal.Event
}

func (w *told) add(e journal.Event, before, after any) uint64 {
	w.tb.Helper()
	e.Seq = uint64(len(w.events)) + 1
	e.Time = noon.Add(time.Duration(len(w.events)) * time.Minute)
	for into, v := range map[*json.RawMessage]any{&e.Before: before, &e.After: after} {
		if v == nil {
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			w.tb.Fatal(err)
		}
		*into = text
	}
	w.events = append(w.events, e)
	return e.Seq
}

// act is something that began, and what came of it.
func (w *told) act(what, service, user, reason string, before, after, came any, stage journal.Stage, why string) {
	w.tb.Helper()
	by := journal.Actor{User: user, Daemon: user == ""}
	n := w.add(journal.Event{Actor: by, Act: what, Stage: journal.Begun, Service: service, Reason: reason}, before, after)
	w.add(journal.Event{Actor: by, Act: what, Stage: stage, Of: n, Service: service, Reason: why}, nil, came)
}

func (w *told) note(what, service, reason string, before, after any) {
	w.tb.Helper()
	w.add(journal.Event{Actor: journal.Actor{Daemon: true}, Act: what, Stage: journal.Note, Service: service, Reason: reason}, before, after)
}

var (
	blue3  = api.GenerationRef{Number: 3, Colour: "blue", Version: "1.9"}
	green4 = api.GenerationRef{Number: 4, Colour: "green", Version: nasty}
)

func is(g api.GenerationRef) any { return map[string]any{"live": g} }

// released is the journal of a release with all that there may be in one.
func released(tb testing.TB) (events []journal.Event, samples []report.Sample) {
	w := &told{tb: tb}
	w.act("lock", "lobby", "ann", "another service", nil, nil, nil, journal.Done, "")
	w.act("reload", "", "ann", "2.0", nil, map[string]any{"changes": []api.Change{{Service: "world", What: "new generation 4 on green: version 2.0"}}}, nil, journal.Done, "")
	w.act("share", "world", "ann", "", nil, map[string]any{"candidate": green4, "ten_thousandths": 500}, nil, journal.Done, "")
	rec := release.New(7, "world", release.Plan{Strategy: release.Session}, release.Generation(blue3), release.Generation(green4), "ann", nasty, noon.Add(6*time.Minute))
	step := func(to release.State, why string) {
		was := rec.State
		rec.State, rec.Why, rec.Turn = to, why, rec.Turn+1
		w.note("release", "world", why, map[string]any{"state": was}, map[string]any{"state": to, "release": rec})
	}
	step(release.Flipping, "all checks hold")
	hook := map[string]any{"key": "k", "hook": "/usr/local/bin/announce", "transition": "flip", "release": 7}
	came := map[string]any{"key": "k", "hook": "/usr/local/bin/announce", "transition": "flip", "release": 7, "attempts": 2, "exit_code": 1, "output": nasty, "seconds": 1.5}
	w.act("hook", "world", "", "", nil, hook, came, journal.Failed, "it ended with 1")
	w.act("hook", "world", "", "", nil, map[string]any{"release": 6, "hook": "of another release"}, map[string]any{"release": 6}, journal.Done, "")
	w.act("flip", "world", "", "release 7 is flipping", is(blue3), is(green4), api.FlipResult{Changed: true, Live: green4, Old: &blue3, SessionsOnOld: 120}, journal.Done, "")
	rec.Flipped, rec.AtFlip = w.events[len(w.events)-1].Time, 120
	step(release.Baking, "flipped")
	value, p := 0.0123456, 0.04
	w.note("gate", "world", "early ends", nil, map[string]any{"release": 7, "gate": map[string]any{
		"gate": "early", "verdict": "pass", "value": value, "p": p, "threshold": "at most 2%", "test": "Fisher's exact test", "detail": nasty, "at": noon.Add(20 * time.Minute)}})
	w.note("gate", "world", "", nil, map[string]any{"release": 6, "gate": map[string]any{"gate": "of another release"}})
	w.note("release", "world", "", nil, map[string]any{"state": "done", "release": map[string]any{"number": 6, "service": "world", "by": "bob"}})
	step(release.Draining, "every gate has passed")
	w.act("evict", "world", "", "release 7 is migrating", nil, map[string]any{"generation": blue3, "found": 3}, map[string]any{"generation": blue3, "found": 3, "marked": 3, "moved": 2}, journal.Done, "")
	w.note("drained", "world", "", nil, map[string]any{"generation": blue3, "new_since_flip": 0, "reopened_since_flip": 1, "moved": 3})
	drained := w.events[len(w.events)-1].Time
	w.note("new-act", "world", "of a newer ebbtide", nil, []int{1})
	w.note("drained", "world", "", nil, []int{1})
	rec.Finished, rec.Stable = drained.Add(2*time.Minute), true
	step(release.Done, "the next one is staged")
	w.act("lock", "world", "ann", "afterwards", nil, nil, nil, journal.Done, "")

	for i, left := range []uint64{118, 120, 90, 60, 30, 10, 3, 0} {
		s := report.Sample{At: rec.Flipped.Add(time.Duration(i-1) * time.Minute), Service: "world", Generations: []report.Count{
			{Number: 3, Sessions: left, New: 900, Moved: uint64(i / 4)}, {Number: 4, Sessions: 120 - left, New: uint64(10 * i)},
		}}
		if left > 0 && left < 118 {
			at := drained.Add(time.Duration(60-int(left)) * time.Second)
			s.Generations[0].EmptyAt = &at
		}
		samples = append(samples, s)
	}
	return w.events, samples
}

func mustBuild(tb testing.TB, number uint32, events []journal.Event, samples []report.Sample) api.Report {
	tb.Helper()
	r, err := report.Build("world", number, events, samples)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// mustMatchAll compares a report in each format with its golden files.
func mustMatchAll(t *testing.T, name string, r api.Report) (md, html string) {
	t.Helper()
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	mustMatch(t, name+".json", append(text, '\n'))
	mustMatch(t, name+".md", report.Markdown(r))
	page, err := report.HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	mustMatch(t, name+".html", page)
	return string(report.Markdown(r)), string(page)
}

func TestTheReportOfARelease(t *testing.T) {
	events, samples := released(t)
	r := mustBuild(t, 0, events, samples)
	md, html := mustMatchAll(t, "release", r)
	mustBeTame(t, []byte(md))
	for _, bad := range []string{"<script", "//x>", "\x1b", "\u202e", "http:", "https:", "url(", "@import", "onload"} {
		if strings.Contains(strings.ReplaceAll(html, "[b](http://x)", ""), bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	for _, text := range []string{md, html} {
		for _, of := range []string{"another service", "another release", "afterwards"} {
			if strings.Contains(text, of) {
				t.Errorf("what is of %s is in the report", of)
			}
		}
	}
	if r.Release != 7 || *r.NewOnOld != 0 || *r.Reopened != 1 || *r.Moved != 3 || *r.AtFlip != 120 || r.Unread != 1 {
		t.Errorf("%+v", r)
	}
	if n := len(r.Forecasts); n < 3 || r.Forecasts[0].OffSeconds == nil {
		t.Errorf("forecasts %+v", r.Forecasts)
	}
	if again := mustBuild(t, 7, events, samples); fmt.Sprint(again.Timeline) != fmt.Sprint(r.Timeline) {
		t.Error("asked for by its number it is another")
	}
	if r := mustBuild(t, 6, events, nil); r.By != "bob" || len(r.Sessions) != 0 {
		t.Errorf("the release before: %+v", r)
	}
	if _, err := report.Build("world", 9, events, nil); !errors.Is(err, report.ErrNone) {
		t.Errorf("one that never was: %v", err)
	}
	if _, err := report.Build("moon", 0, events, nil); !errors.Is(err, report.ErrNone) {
		t.Errorf("a service that never was: %v", err)
	}
}

// A release that has just begun, and a journal that ends anywhere, make a report, too.
func TestAReportCanBeMadeAtAnyTime(t *testing.T) {
	events, samples := released(t)
	for n := range events {
		r, err := report.Build("world", 0, events[:n], samples[:min(n, len(samples))])
		if errors.Is(err, report.ErrNone) && n < 8 {
			continue
		}
		if err != nil {
			t.Fatalf("after %d events: %v", n, err)
		}
		if _, err := report.HTML(r); err != nil {
			t.Errorf("after %d events: %v", n, err)
		}
		report.Markdown(r)
	}
}

func TestTheReportOfAFlipByHand(t *testing.T) {
	w := &told{tb: t}
	green := api.GenerationRef{Number: 2, Colour: "green", Version: "2.0"}
	blue := api.GenerationRef{Number: 1, Colour: "blue", Version: "1.9"}
	flip := func(what string, from, to api.GenerationRef) {
		w.act(what, "world", "ann", "why", is(from), is(to), api.FlipResult{Changed: true, Live: to, Old: &from, SessionsOnOld: 5}, journal.Done, "")
	}
	flip("flip", blue, green)
	flip("rollback", green, blue)
	flip("flip", blue, green)
	w.note("drained", "world", "", nil, map[string]any{"generation": blue})
	r := mustBuild(t, 0, w.events, nil)
	mustMatchAll(t, "flip", r)
	if len(r.Timeline) != 2 || r.Drained == nil || r.State != "drained" || r.Release != 0 {
		t.Errorf("%+v", r)
	}
	flip("rollback", green, blue)
	if r := mustBuild(t, 0, w.events, nil); r.State != "rolled back" {
		t.Errorf("%+v", r)
	}
}

func TestSamplesAreBoundedAndATornLineIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "samples.jsonl")
	sample := func(i int, service string) report.Sample {
		return report.Sample{At: noon.Add(time.Duration(i) * time.Second), Service: service, Generations: []report.Count{{Number: 1, Sessions: uint64(i)}}}
	}
	read := func(from int) []report.Sample {
		t.Helper()
		all, err := report.ReadSamples(path, "world", noon.Add(time.Duration(from)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := read(0); len(all) != 0 {
		t.Errorf("of no file: %v", all)
	}
	put := func(list ...report.Sample) {
		t.Helper()
		if err := report.AppendSamples(path, list); err != nil {
			t.Fatal(err)
		}
	}
	put(sample(1, "world"), sample(2, "lobby"))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range data { // as a crash may leave it
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		put(sample(3, "world"))
		if all := read(3); len(all) != 1 || all[0].Generations[0].Sessions != 3 {
			t.Fatalf("cut at %d: %v", cut, all)
		}
	}
	for n := 0; n < 3; n++ {
		if err := os.WriteFile(path, make([]byte, report.MaxSamples), 0o600); err != nil {
			t.Fatal(err)
		}
		put(sample(10+n, "world"))
	}
	if all := read(12); len(all) != 1 {
		t.Errorf("behind a full file: %v", all)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

package report

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
)

// builder puts events into a report, one after the other.
type builder struct {
	report *api.Report
	open   map[uint64]int // place in the timeline of what has begun, by number
	hooks  map[uint64]int // the same in the list of hooks
}

func (b *builder) add(e journal.Event) {
	r := b.report
	if rec, ok := releaseOf(e); ok && rec.Number != r.Release {
		return // of another release of the service
	}
	switch e.Act {
	case "answer":
		return
	case "gate":
		if !b.gate(e) {
			return
		}
	case "hook":
		if !b.hook(e) {
			return
		}
	case "drained":
		b.drained(e)
	}
	if at, ok := b.open[e.Of]; ok && e.Of != 0 {
		b.ended(at, e)
		return
	}
	if e.Stage == journal.Begun {
		b.open[e.Seq] = len(r.Timeline)
	}
	outcome := string(e.Stage)
	if e.Stage == journal.Note {
		outcome = ""
	}
	r.Timeline = append(r.Timeline, api.ReportEntry{
		Event: e.Seq, At: e.Time, By: e.Actor.String(), Act: e.Act, What: what(e, r.Service), Outcome: outcome, Reason: e.Reason,
	})
}

// ended tells what came of something that had begun.
func (b *builder) ended(at int, e journal.Event) {
	r, entry := b.report, &b.report.Timeline[at]
	entry.Outcome, entry.Seconds = string(e.Stage), e.Time.Sub(entry.At).Seconds()
	if e.Stage == journal.Failed {
		entry.Reason = strings.TrimPrefix(entry.Reason+"; "+e.Reason, "; ")
		return
	}
	switch e.Act {
	case "flip", "rollback":
		b.flipped(e)
		if e.Act == "rollback" && r.Release == 0 {
			r.State = "rolled back"
		}
	case "evict":
		var is struct{ Moved *uint64 }
		if b.read(e, &is) && is.Moved != nil {
			entry.What += fmt.Sprintf("; %d have moved", *is.Moved)
		}
	}
}

func (b *builder) flipped(e journal.Event) {
	r := b.report
	var is api.FlipResult
	if !b.read(e, &is) || is.Old == nil || is.Old.Number != r.From.Number {
		return
	}
	if r.Flipped == nil || r.Release == 0 {
		r.Flipped = &e.Time
	}
	r.AtFlip, r.NewOnOld, r.Reopened = &is.SessionsOnOld, &is.NewOnOld, &is.ReopenedOnOld
}

func (b *builder) drained(e journal.Event) {
	r := b.report
	var is struct {
		Generation api.GenerationRef
		New        uint64 `json:"new_since_flip"`
		Reopened   uint64 `json:"reopened_since_flip"`
		Moved      uint64
	}
	if !b.read(e, &is) || is.Generation.Number != r.From.Number {
		return
	}
	r.Drained, r.NewOnOld, r.Reopened, r.Moved = &e.Time, &is.New, &is.Reopened, &is.Moved
	if r.Release == 0 {
		r.State, r.Finished = "drained", &e.Time
	}
}

// gate says whether the gate is one of this release.
func (b *builder) gate(e journal.Event) bool {
	var is struct {
		Release uint32
		Gate    api.ReportGate
	}
	if !b.read(e, &is) || is.Release != b.report.Release {
		return false
	}
	if is.Gate.At.IsZero() {
		is.Gate.At = e.Time
	}
	b.report.Gates = append(b.report.Gates, is.Gate)
	return true
}

// hook says whether the hook is one of this release.
func (b *builder) hook(e journal.Event) bool {
	r := b.report
	var is struct {
		Hook, Transition, Output string
		Release                  uint32
		Attempts                 int
		Seconds                  float64
	}
	ok := b.read(e, &is)
	if e.Stage == journal.Begun {
		if !ok || is.Release != r.Release {
			return false
		}
		b.hooks[e.Seq] = len(r.Hooks)
		r.Hooks = append(r.Hooks, api.ReportHook{At: e.Time, Transition: is.Transition, Hook: is.Hook, Outcome: string(e.Stage)})
		return true
	}
	at, begun := b.hooks[e.Of]
	if !begun {
		return false
	}
	h := &r.Hooks[at]
	h.Outcome, h.Attempts, h.Seconds, h.Output, h.Reason = string(e.Stage), is.Attempts, is.Seconds, is.Output, e.Reason
	return true
}

// what an event is about, in words.
func what(e journal.Event, service string) string {
	switch e.Act {
	case "reload", "start", "stage":
		var file struct{ Changes []api.Change }
		var out []string
		if parse(e, &file) {
			for _, c := range file.Changes {
				if c.Service == service {
					out = append(out, c.What)
				}
			}
		}
		return strings.Join(out, "; ")
	case "flip", "rollback":
		var was, is liveIs
		if parse(e, &is) && json.Unmarshal(e.Before, &was) == nil {
			return "from " + nameOf(was.Live) + " to " + nameOf(is.Live)
		}
	case "release":
		var was struct{ State release.State }
		if rec, ok := releaseOf(e); ok {
			_ = json.Unmarshal(e.Before, &was) // of a release that has just begun there is none
			return strings.TrimPrefix(fmt.Sprintf("%s to %s", was.State, rec.State), " to ")
		}
	case "share":
		var is struct {
			Candidate api.GenerationRef
			Share     uint16 `json:"ten_thousandths"`
		}
		if parse(e, &is) {
			return fmt.Sprintf("%s of the clients to %s", api.Percent(is.Share), nameOf(is.Candidate))
		}
	case "evict":
		var is struct {
			Generation api.GenerationRef
			Found      uint64
		}
		if parse(e, &is) {
			return fmt.Sprintf("%d sessions of %s are told to move", is.Found, nameOf(is.Generation))
		}
	case "drained":
		var is struct{ Generation api.GenerationRef }
		if parse(e, &is) {
			return nameOf(is.Generation) + " has no session left"
		}
	case "hook":
		var is struct{ Hook, Transition string }
		if parse(e, &is) {
			return is.Transition + ": " + is.Hook
		}
	case "gate":
		var is struct{ Gate api.ReportGate }
		if parse(e, &is) {
			return is.Gate.Gate + ": " + is.Gate.Verdict
		}
	}
	return ""
}

// parse reads what an event brought about.
func parse(e journal.Event, v any) bool { return json.Unmarshal(e.After, v) == nil }

// read is parse for what the report's figures are of: what it can't read is of another version, and counted.
func (b *builder) read(e journal.Event, v any) bool {
	ok := parse(e, v)
	if !ok && len(e.After) > 0 {
		b.report.Unread++
	}
	return ok
}

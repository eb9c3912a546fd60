package release

import (
	"fmt"
	"slices"
	"time"
)

// Input is an event with what it is about.
type Input struct {
	Event Event
	By    string // of verbs: who
	Gate  string // of Approve
	Key   string // of HookDone and HookFailed
	Why   string // reason, or what went wrong
}

// Transition is what Step did, for the journal.
type Transition struct {
	From State  `json:"from"`
	To   State  `json:"to"`
	On   Event  `json:"on,omitempty"`
	Why  string `json:"why,omitempty"`
}

// Refusal says why a verb means nothing where a release stands.
type Refusal struct{ Why string }

func (r *Refusal) Error() string { return r.Why }

// Step makes one transition at most. It gives a record of its own, and no transition where the state stays; what has to be
// kept of the record may have changed even then. Its only error is a [Refusal], of a verb: then nothing has changed.
func Step(r Record, ev Input, f Facts, now time.Time) (Record, *Transition, error) {
	v := view{r.clone(), f, ev, now}
	v.noteFlip()
	v.noteAiling()
	switch ev.Event {
	case Goes:
		return v.goes()
	case HookDone:
		v.hookDone()
		return v.r, nil, nil
	case HookFailed:
		return v.hookFailed()
	case ActFailed:
		return v.actFailed()
	}
	return v.verb()
}

// Waits says what keeps a release where it is; empty when nothing does, or it is over.
func Waits(r Record, f Facts, now time.Time) string {
	v := view{r: r, f: f, now: now}
	if r.State.Over() || r.Stop != nil || r.State == Staged {
		return ""
	}
	if f.Ending != "" {
		return "the hook of " + f.Ending + " is being stopped"
	}
	if waited := r.waited(); len(waited) > 0 {
		return "the hook of " + waited[0].Transition + " runs"
	}
	for _, w := range table {
		if !w.matches(r.State, Goes, r.Plan.Strategy) || w.urgent || in(w.to, Failed, Noticing) {
			continue
		}
		if why := w.guard.not(v); why != "" {
			return why
		}
		return v.held(w)
	}
	return ""
}

// goes makes the first transition whose guard holds.
func (v *view) goes() (Record, *Transition, error) {
	waited := len(v.r.waited()) > 0
	for _, w := range table {
		if !w.matches(v.r.State, Goes, v.r.Plan.Strategy) || !w.urgent && (waited || v.held(w) != "") {
			continue
		}
		if w.guard.not(*v) == "" {
			return v.enter(w, v.why(w))
		}
	}
	return v.r, nil, nil
}

// held is why a lock or a freeze keeps a transition from happening that would begin a change.
func (v view) held(w row) string {
	if in(w.to, Stepping, Flipping, Migrating, Closing, Emptying) {
		return v.f.Held
	}
	return ""
}

// why says more than the row does, where there is more to say.
func (v view) why(w row) string {
	switch w.guard {
	case &gateRollsBack:
		return v.failed(ByRollback)
	case &gatePauses:
		if why := v.failed(ByPause); why != "" {
			return why
		}
		return v.failed(ByRollback) + "; it can't roll back: " + mayRollBack.not(v)
	case &unverifiable:
		return v.failedChecks()
	case &verified, &verifiedTogether:
		return verified.words + v.notLooked()
	case &groupGoesBack:
		return "its group goes back: " + v.f.Group.Back
	case &groupEnds:
		return "its group does not flip: " + v.f.Group.Ends
	}
	return w.guard.words
}

// hookDone takes a hook off. Checks have their time from when nothing keeps the release from going on but they.
func (v *view) hookDone() {
	waited := len(v.r.waited()) > 0
	v.r.ran(v.in.Key)
	if v.r.State == Verifying && waited && len(v.r.waited()) == 0 {
		v.r.Since = v.now
	}
}

func (v *view) hookFailed() (Record, *Transition, error) {
	i := slices.IndexFunc(v.r.Pending, func(h Hook) bool { return h.Key == v.in.Key })
	switch {
	case i < 0:
		return v.r, nil, nil
	case v.r.Pending[i].Told:
		v.r.ran(v.in.Key)
		return v.r, nil, nil
	}
	return v.actFailed()
}

// actFailed stops a release that waits for what failed.
func (v *view) actFailed() (Record, *Transition, error) {
	for _, w := range table {
		if w.matches(v.r.State, v.in.Event, v.r.Plan.Strategy) {
			return v.enter(w, v.in.Why)
		}
	}
	return v.r, nil, nil // it stands already
}

func (v *view) verb() (Record, *Transition, error) {
	for _, w := range table {
		if !w.matches(v.r.State, v.in.Event, v.r.Plan.Strategy) {
			continue
		}
		if w.guard != nil {
			if why := w.guard.not(*v); why != "" {
				return v.r, nil, &Refusal{fmt.Sprintf("release %d is %s: %s", v.r.Number, v.r.State, why)}
			}
		}
		return v.enter(w, v.in.Why)
	}
	return v.r, nil, &Refusal{fmt.Sprintf("release %d is %s: %s", v.r.Number, v.r.State, v.noSuch())}
}

// noSuch says why a verb has no row.
func (v view) noSuch() string {
	switch {
	case v.r.State.Over():
		return "it is over"
	case v.in.Event == Start:
		return "it has begun"
	case v.in.Event == Resume:
		return "it is not stopped"
	case v.in.Event == Pause && in(v.r.State, Paused, Failed):
		return "it is stopped already"
	case v.in.Event == Abort && v.r.State != Aborting && v.r.State != RollingBack:
		return "it is live: roll it back"
	case v.in.Event == Rollback && in(v.r.State, Staged, Aborting):
		return "nothing has changed yet: abort it"
	case v.in.Event == Tell:
		return "those who are left are told while it drains"
	case v.in.Event == Approve:
		return "no gate is watched"
	}
	return "it can't be stopped in that moment: ask again"
}

// enter makes a transition.
func (v *view) enter(w row, why string) (Record, *Transition, error) {
	r := &v.r
	t := &Transition{From: r.State, To: w.to, On: w.on, Why: why}
	r.Turn++
	if v.in.Event == Approve {
		r.Approved = append(r.Approved, Approval{v.in.Gate, v.in.By, v.now, r.In(), r.part()})
		t.To = r.State
		return *r, t, nil
	}
	switch w.to {
	case Paused, Failed:
		v.stop(w.to)
	case Back:
		v.resume()
		t.To = r.State
	default:
		v.begin(w.to)
	}
	r.Why = why
	return *r, t, nil
}

// noteFlip remembers when the kernel was first seen to have flipped, and how many sessions that left.
func (v *view) noteFlip() {
	if v.r.In() != Flipping || !v.r.Flipped.IsZero() || v.f.Live != v.r.To.Number {
		return
	}
	v.r.Flipped, v.r.AtFlip = v.now, v.f.From.Left
	if v.r.Plan.Deadline > 0 {
		v.r.Deadline = v.now.Add(v.r.Plan.Deadline)
	}
}

// stop keeps where it stood. What fails while it is paused stops nothing more.
func (v *view) stop(to State) {
	r := &v.r
	if r.Stop == nil {
		r.Stop = &Stop{r.State, r.Since}
	}
	r.State, r.Since = to, v.now
	r.Stops++
	r.want("pause", r.Stops, true)
}

// resume goes on where it stood; the time that it was stopped for does not count. What is checked is checked anew.
func (v *view) resume() {
	r := &v.r
	stop, stopped := *r.Stop, r.Since
	r.Stop, r.State = nil, stop.State
	r.Since = stop.Began.Add(max(0, v.now.Sub(stopped)))
	if in(r.State, Verifying, Checking) {
		r.Since = v.now
	}
	r.Resumed++
	r.want("resume", r.Resumed, true)
}

// begin comes into a state.
func (v *view) begin(to State) {
	r := &v.r
	was := r.In()
	if in(to, RollingBack, Aborting) || to.Over() { // what the way ahead waited for is of no use now
		r.Pending = slices.DeleteFunc(r.Pending, func(h Hook) bool { return !h.Told })
	}
	r.Stop, r.State, r.Since = nil, to, v.now
	count := uint32(0)
	switch to {
	case Stepping:
		if was == Stepping {
			r.Step++
		}
	case Noticing:
		came, _ := v.noticeDue()
		r.Fired = append(r.Fired, came...)
		r.Notices++
		count = r.Notices
	case Draining:
		if was == Noticing {
			r.Noticed = v.now
		}
		r.Stable = true
	case Emptying:
		if in(was, Checking, Baking) {
			r.Batch++
		}
	case Updating, Checking:
		count = uint32(r.Batch) + 1
	case Baking:
		if !r.Plan.Strategy.Flips() {
			count = uint32(r.Batch) + 1
		}
	}
	for _, transition := range HooksOf(to) {
		r.want(transition, count, false)
	}
	if to.Over() {
		r.Finished = v.now
	}
}

// ran takes a hook off those that are to be run, for good.
func (r *Record) ran(key string) {
	i := slices.IndexFunc(r.Pending, func(h Hook) bool { return h.Key == key })
	if i < 0 {
		return
	}
	if key == fmt.Sprintf("%s/%d/%s", r.Service, r.Number, r.Pending[i].Transition) { // others have a count of their own
		r.Ran = append(r.Ran, key)
	}
	r.Pending = slices.Delete(r.Pending, i, i+1)
}

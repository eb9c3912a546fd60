package release

import (
	"fmt"
	"slices"
	"time"
)

// Record is all that is known of a release: what a daemon needs to go on with it after a crash.
type Record struct {
	Number   uint32     `json:"number"` // of the service's releases: they only grow
	Service  string     `json:"service"`
	Plan     Plan       `json:"plan"` // as it was when the release began: a reload does not change it
	From     Generation `json:"from"`
	To       Generation `json:"to"`
	By       string     `json:"by"`
	Reason   string     `json:"reason,omitempty"`
	Forced   bool       `json:"forced,omitempty"` // it goes on though checks fail
	Group    *Group     `json:"group,omitempty"`  // nil: it is of one service
	Begun    time.Time  `json:"begun"`
	State    State      `json:"state"`
	Turn     uint32     `json:"turn"`           // transitions made: of two records of one release the one with more is newer
	Since    time.Time  `json:"since"`          // when it came into State, later by the time that it was stopped for
	Why      string     `json:"why,omitempty"`  // it came into State
	Stop     *Stop      `json:"stop,omitempty"` // of a paused or failed one
	Pending  []Hook     `json:"pending,omitempty"`
	Ran      []string   `json:"ran,omitempty"` // keys of hooks that are not run again in this release
	Stops    uint32     `json:"stops,omitempty"`
	Resumed  uint32     `json:"resumed,omitempty"`
	Step     int        `json:"step,omitempty"`  // of a canary's: the one that it is in
	Batch    int        `json:"batch,omitempty"` // of rolling: the one that is changed
	Backends []string   `json:"backends,omitempty"`
	Approved []Approval `json:"approved,omitempty"`

	Ailing   time.Time `json:"ailing,omitzero"`   // since when checks fail
	Flipped  time.Time `json:"flipped,omitzero"`  // when new sessions went to To
	AtFlip   uint64    `json:"at_flip,omitempty"` // sessions of From then
	Deadline time.Time `json:"deadline,omitzero"` // of From's drain; a later flip does not move it
	Notices  uint32    `json:"notices,omitempty"` // begun
	Noticed  time.Time `json:"noticed,omitzero"`  // when the last of them was through
	Fired    []int     `json:"fired,omitempty"`   // of Plan.Notice.At, by index
	Stable   bool      `json:"stable,omitempty"`  // To has passed its bake
	Finished time.Time `json:"finished,omitzero"` // when it came into a state that is over
}

// Generation is one of the two that a release goes between.
type Generation struct {
	Number  uint32 `json:"number"`
	Colour  string `json:"colour,omitempty"`
	Version string `json:"version"`
}

// Stop is where a release stood when it was stopped, and since when.
type Stop struct {
	State State     `json:"state"`
	Began time.Time `json:"began"`
}

// Approval is an approval that somebody gave to a gate. It is good for the state and step in which it was given.
type Approval struct {
	Gate  string    `json:"gate"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	State State     `json:"state"`
	Step  int       `json:"step,omitempty"` // of a rolling release: the batch
}

// Hook is one that is to be run. The key is the same however often it takes, and no other hook has it.
type Hook struct {
	Key        string `json:"key"`
	Transition string `json:"transition"`
	Told       bool   `json:"told,omitempty"` // nothing waits for it, and its failure stops nothing
}

// New is a record in its first state.
func New(number uint32, service string, p Plan, from, to Generation, by, reason string, now time.Time) Record {
	return Record{
		Number: number, Service: service, Plan: p, From: from, To: to, By: by, Reason: reason, Begun: now, State: Staged, Since: now,
	}
}

// In is the state that it is in, or was in when it was stopped.
func (r Record) In() State {
	if r.Stop != nil {
		return r.Stop.State
	}
	return r.State
}

// Front says whether it may still change who is live; a service has one such release at most.
func (r Record) Front() bool {
	return !r.State.Over() && !in(r.In(), Draining, Noticing, Retiring, Promoting) && (r.In() != Migrating || !in(r.Plan.Strategy, Session, Canary))
}

// ApprovedNow says whether a gate has its approval for the state that the release is in.
func (r Record) ApprovedNow(gate string) bool {
	return slices.ContainsFunc(r.Approved, func(a Approval) bool { return a.Gate == gate && a.State == r.In() && a.Step == r.part() })
}

// part is which of several turns in its state a release has come to: the step of a canary, the batch of a rolling one.
func (r Record) part() int {
	if r.Plan.Strategy == Rolling {
		return r.Batch
	}
	return r.Step
}

// share is what the candidate shall have of the clients.
func (r Record) share() uint16 {
	if r.In() == Stepping && r.Step < len(r.Plan.Steps) {
		return r.Plan.Steps[r.Step].Share
	}
	return 0
}

// InTurn is the backends whose turn it is, of a release that changes them one batch after another.
func (r Record) InTurn() []string {
	n := r.Plan.Batch
	if r.Plan.Strategy == InPlace || n <= 0 {
		return r.Backends
	}
	return r.Backends[min(r.Batch*n, len(r.Backends)):min((r.Batch+1)*n, len(r.Backends))]
}

// Resting is the backends that a rolling release keeps new sessions from: those in turn, until they were changed and checked.
// While it stands before their gates have passed, they rest again: who can tell what they would do to newcomers.
func (r Record) Resting() []string {
	stands := r.In() == Baking && r.Stop != nil
	if r.Plan.Strategy != Rolling || !stands && !in(r.In(), Emptying, Updating, Checking) {
		return nil
	}
	return r.InTurn()
}

// Changed is the backends that were updated, those in turn included.
func (r Record) Changed() []string {
	if r.Plan.Strategy == InPlace || r.Plan.Batch <= 0 {
		return r.Backends
	}
	return r.Backends[:min((r.Batch+1)*r.Plan.Batch, len(r.Backends))]
}

// Behind is the backends that are yet to be changed, once some are up to date.
func (r Record) Behind() []string {
	if r.Plan.Strategy != Rolling || r.Plan.Batch <= 0 || !in(r.In(), Emptying, Updating, Checking, Baking) {
		return nil
	}
	if r.Batch == 0 && r.State != Baking {
		return nil
	}
	return r.Backends[min((r.Batch+1)*r.Plan.Batch, len(r.Backends)):]
}

// moreBatches says whether backends follow those whose turn it is.
func (r Record) moreBatches() bool {
	return r.Plan.Strategy == Rolling && r.Plan.Batch > 0 && (r.Batch+1)*r.Plan.Batch < len(r.Backends)
}

// clone shares nothing with r that Step changes.
func (r Record) clone() Record {
	r.Pending, r.Ran, r.Fired = slices.Clone(r.Pending), slices.Clone(r.Ran), slices.Clone(r.Fired)
	r.Approved = slices.Clone(r.Approved)
	if r.Stop != nil {
		stop := *r.Stop
		r.Stop = &stop
	}
	return r
}

// want adds a hook to those that are to be run, when the plan has one for that transition.
func (r *Record) want(transition string, count uint32, told bool) {
	if !in(transition, r.Plan.Hooks...) {
		return
	}
	key := fmt.Sprintf("%s/%d/%s", r.Service, r.Number, transition)
	if count > 0 {
		key += fmt.Sprintf("/%d", count)
	}
	same := func(h Hook) bool { return h.Key == key }
	if !in(key, r.Ran...) && !slices.ContainsFunc(r.Pending, same) {
		r.Pending = append(r.Pending, Hook{key, transition, told})
	}
}

// waited are the hooks that the release waits for.
func (r Record) waited() []Hook {
	return slices.DeleteFunc(slices.Clone(r.Pending), func(h Hook) bool { return h.Told })
}

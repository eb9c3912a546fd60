package release

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at is a release in a state, as a walk would have brought it there.
func at(s State, by Strategy) Record {
	p := Plan{
		Strategy: by, Bake: time.Minute, Deadline: time.Hour, Migrate: Migrate{10, time.Second}, Batch: 1,
		Steps: []Share{{500, time.Minute}, {2500, time.Minute}},
	}
	r := New(7, "world", p, Generation{1, "blue", "1.9"}, Generation{2, "green", "2.0"}, "ops", "", noon)
	r.State, r.Backends = s, []string{"10.0.0.1", "10.0.0.2"}
	if !by.Flips() {
		r.To = r.From
	}
	if s == Draining {
		r.Plan.Hooks = []string{"notice"}
	}
	if in(s, Paused, Failed) {
		r.Stop = &Stop{Verifying, noon}
	}
	if by.Flips() && in(s, Baking, Draining, Noticing, Migrating, Retiring, Promoting) {
		r.Flipped = noon
	}
	return r
}

// kind are facts under which a release in that state may be rolled back.
func kind(r Record) Facts {
	f := Facts{Live: 1, From: Standing{State: Live, InPool: true}, To: Standing{State: Candidate, InPool: true}}
	if !r.Flipped.IsZero() {
		f = Facts{Live: 2, From: Standing{State: Drains, InPool: true, Left: 3, Unmarked: 3}, To: Standing{State: Live, InPool: true}}
	}
	return f
}

// legal are the verbs that mean something, by state: written by hand beside the table, from what people are told.
var legal = map[State][]Event{
	Staged:      {Start, Abort},
	Verifying:   {Pause, Abort},
	Stepping:    {Pause, Abort, Rollback},
	Flipping:    {Rollback},
	Baking:      {Pause, Rollback},
	Draining:    {Pause, Rollback, Tell},
	Noticing:    {Pause, Rollback},
	Migrating:   {Pause, Rollback},
	Closing:     {Abort, Rollback},
	Emptying:    {Pause, Abort, Rollback},
	Updating:    {Pause, Abort, Rollback},
	Checking:    {Pause, Abort, Rollback},
	Retiring:    {Pause},
	Promoting:   {Pause},
	Paused:      {Resume, Abort},
	Failed:      {Resume, Abort},
	Opening:     {},
	RollingBack: {},
	Aborting:    {},
	Done:        {},
	RolledBack:  {},
	Aborted:     {},
}

func TestEveryVerbInEveryStateIsMeantOrRefusedWithAReason(t *testing.T) {
	for _, s := range States() {
		verbs, known := legal[s]
		if !known {
			t.Fatalf("nothing is known of %s", s)
		}
		for _, verb := range Verbs() {
			t.Run(string(s)+" "+string(verb), func(t *testing.T) {
				r := at(s, strategyOf(s))
				before := r.clone()
				got, transition, err := Step(r, Input{Event: verb, By: "ops", Why: "why not"}, kind(r), noon.Add(time.Second))
				if !reflect.DeepEqual(r, before) {
					t.Errorf("the record that was given has changed: %+v", r)
				}
				refusal := (*Refusal)(nil)
				switch {
				case slices.Contains(verbs, verb):
					if err != nil || transition == nil || transition.From != s || transition.To != got.State || got.Why != "why not" {
						t.Errorf("%+v, %+v, %v", got, transition, err)
					}
				case !errors.As(err, &refusal) || refusal.Why == "" || transition != nil || !reflect.DeepEqual(got, before):
					t.Errorf("not refused: %+v, %+v, %v", got, transition, err)
				}
			})
		}
	}
}

// strategyOf is one that has a state.
func strategyOf(s State) Strategy {
	switch {
	case in(s, Closing, Emptying, Updating, Checking, Opening):
		return InPlace
	case s == Stepping:
		return Canary
	}
	return Session
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	for _, row := range []struct {
		name  string
		state State
		verb  Event
		edit  func(*Record, *Facts)
		want  string
	}{
		{"an abort after the flip", Baking, Abort, nil, "release 7 is baking: it is live: roll it back"},
		{"a rollback before anything", Staged, Rollback, nil, "release 7 is staged: nothing has changed yet: abort it"},
		{"a rollback of what is over", Done, Rollback, nil, "release 7 is done: it is over"},
		{"a resume of what runs", Draining, Resume, nil, "release 7 is draining: it is not stopped"},
		{"a second pause", Paused, Pause, nil, "release 7 is paused: it is stopped already"},
		{"a rollback while backends are released", Paused, Rollback,
			func(r *Record, _ *Facts) { r.Stop.State, r.Flipped = Retiring, noon },
			"release 7 is paused: generation 1 is empty and its backends are being released: stage its version again, or flip to it by hand where they are still there"},
		{"a rollback to what has left its pool", Draining, Rollback, func(_ *Record, f *Facts) { f.From.InPool = false },
			"release 7 is draining: generation 1 has left its pool: stage its version again"},
		{"a rollback behind the next release", Draining, Rollback, func(_ *Record, f *Facts) { f.Live = 3 },
			"release 7 is draining: generation 3 is live, not generation 2 of this release: roll back the release that made it so"},
		{"an abort of what failed after the flip", Failed, Abort, func(r *Record, f *Facts) { r.Stop.State, f.Live = Flipping, 2 },
			"release 7 is failed: generation 2 is live: roll it back"},
		{"a notice before the flip", Verifying, Tell, nil, "release 7 is verifying: those who are left are told while it drains"},
		{"a notice that nobody would pass on", Draining, Tell, func(r *Record, _ *Facts) { r.Plan.Hooks = nil },
			"release 7 is draining: no notice hook was configured when it began"},
		{"a notice to nobody", Draining, Tell, func(_ *Record, f *Facts) { f.From.Left = 0 },
			"release 7 is draining: nobody is left on generation 1"},
		{"an approval that nobody waits for", Baking, Approve, nil, `release 7 is baking: no gate "" waits for an approval`},
	} {
		r := at(row.state, Session)
		f := kind(r)
		if row.edit != nil {
			row.edit(&r, &f)
		}
		if _, _, err := Step(r, Input{Event: row.verb}, f, noon); err == nil || err.Error() != row.want {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
}

// watched is a rolling or in-place release whose second batch, or all of it, is watched by a gate.
func watched(by Strategy) Record {
	r := at(Baking, by)
	r.Plan.Gates = []config.Gate{{Name: "ops"}}
	r.Backends = append(r.Backends, "10.0.0.3")
	r.Batch = 1
	return r
}

func TestWhatWasChangedIsWatchedBeforeTheNextBatch(t *testing.T) {
	reads := func(v Verdict, p Policy) []Gate { return []Gate{{Name: "ops", Verdict: v, OnFail: p}} }
	for _, row := range []struct {
		name  string
		by    Strategy
		facts Facts
		want  State
		why   string // it waits
	}{
		{"until the gate says it", Rolling, Facts{Gates: reads(Pending, ByPause)}, Baking, "gate ops: pending: "},
		{"until it was read", InPlace, Facts{Resting: Resting{Closed: true}}, Baking, "gates have no reading yet"},
		{"not before it takes sessions", Rolling, Facts{Gates: reads(Pass, ByPause), Resting: Resting{Backends: []string{"10.0.0.2"}}}, Baking,
			"what was changed does not take new sessions yet"},
		{"and goes on", Rolling, Facts{Gates: reads(Pass, ByPause)}, Emptying, ""},
		{"and opens", InPlace, Facts{Gates: reads(Pass, ByPause), Resting: Resting{Closed: true}}, Opening, ""},
		{"with one that only tells", Rolling, Facts{Gates: reads(Fail, ByTelling)}, Emptying, ""},
		{"and stands", Rolling, Facts{Gates: reads(Fail, ByPause)}, Paused, ""},
		{"and goes back", InPlace, Facts{Gates: reads(Fail, ByRollback), Resting: Resting{Closed: true}}, RollingBack, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, _, err := Step(watched(row.by), Input{}, row.facts, noon.Add(time.Minute))
			if err != nil || r.State != row.want {
				t.Errorf("it is %s, %v, want %s", r.State, err, row.want)
			}
			if why := Waits(watched(row.by), row.facts, noon.Add(time.Minute)); row.want == Baking && why != row.why {
				t.Errorf("it waits because %q, want %q", why, row.why)
			}
		})
	}
}

func TestABatchThatIsWatchedTakesSessionsUntilItStands(t *testing.T) {
	r := watched(Rolling)
	if acts := Due(r, Facts{Resting: Resting{Backends: []string{"10.0.0.2"}}}); len(acts) != 1 || acts[0].Kind != Rest || len(acts[0].Backends) > 0 {
		t.Errorf("of one that rests yet it does %+v", acts)
	}
	if behind := r.Behind(); !slices.Equal(behind, r.Backends[2:]) {
		t.Errorf("behind it are %v", behind)
	}
	r.Batch = 0
	if behind := r.Behind(); !slices.Equal(behind, r.Backends[1:]) {
		t.Errorf("behind the first batch are %v", behind)
	}
	r, _, err := Step(r, Input{Event: Pause, By: "ops"}, Facts{}, noon)
	if acts := Due(r, Facts{}); err != nil || len(acts) != 1 || acts[0].Kind != Rest || !slices.Equal(acts[0].Backends, r.Backends[:1]) {
		t.Errorf("of one that stands it does %+v, %v", acts, err)
	}
	if behind := r.Behind(); len(behind) > 0 {
		t.Errorf("of one that stands at its first batch are behind %v: nobody would take new sessions", behind)
	}
	if acts := Due(r, Facts{Resting: Resting{Backends: r.Backends[:1]}}); len(acts) > 0 {
		t.Errorf("and then %+v", acts)
	}
}

func TestWhatWasChangedInPlaceIsPutBackBeforeItOpens(t *testing.T) {
	r := watched(InPlace)
	r.Plan.Hooks = []string{"rollback"}
	f := Facts{Gates: []Gate{{Name: "ops", Verdict: Fail, OnFail: ByRollback}}, Resting: Resting{Closed: true}}
	r, _, _ = Step(r, Input{}, f, noon)
	if acts := Due(r, f); len(acts) != 1 || acts[0].Kind != RunHook || acts[0].Hook.Transition != "rollback" {
		t.Fatalf("it does %+v", acts)
	}
	r, _, _ = Step(r, Input{Event: HookDone, Key: r.Pending[0].Key}, f, noon)
	if acts := Due(r, f); len(acts) != 1 || acts[0].Kind != Open {
		t.Errorf("after the hook it does %+v", acts)
	}
}

func TestAnApprovalIsGoodForOneBatch(t *testing.T) {
	r := watched(Rolling)
	f := Facts{Gates: []Gate{{Name: "ops", Verdict: Pending, Approval: true}}}
	r, _, err := Step(r, Input{Event: Approve, Gate: "ops", By: "ops"}, f, noon)
	if err != nil || !r.ApprovedNow("ops") {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Batch = 2; r.ApprovedNow("ops") {
		t.Error("it is good for the next batch, too")
	}
}

func TestEveryStateIsReachedAndLeft(t *testing.T) {
	to, from := map[State]bool{Staged: true, Back: true}, map[State]bool{}
	for _, w := range table {
		to[w.to] = true
		for _, s := range w.from {
			from[s] = true
		}
	}
	for _, s := range States() {
		if !to[s] || from[s] == s.Over() {
			t.Errorf("%s: entered %t, left %t, over %t", s, to[s], from[s], s.Over())
		}
	}
}

// What was counted before the flip says nothing of who is to be told to move.
func TestWhoHasNotBeenCountedSinceTheFlipIsWaitedFor(t *testing.T) {
	for _, s := range []State{Migrating, RollingBack} {
		r := at(s, Instant)
		r.Flipped = noon
		f := Facts{Live: 2, From: Standing{State: Drains, InPool: true, Uncounted: true}, To: Standing{State: Live, InPool: true}}
		if s == RollingBack {
			f = Facts{Live: 1, From: Standing{State: Live, InPool: true}, To: Standing{State: Drains, InPool: true, Uncounted: true}}
		}
		if _, tr, err := Step(r, Input{}, f, noon); tr != nil || err != nil {
			t.Errorf("%s: %+v, %v", s, tr, err)
		}
		f.From.Uncounted, f.To.Uncounted = false, false
		if _, tr, err := Step(r, Input{}, f, noon); tr == nil || err != nil {
			t.Errorf("%s: it does not go on when nobody is left: %v", s, err)
		}
	}
}

func TestANoticeByCountWaitsForACount(t *testing.T) {
	r := at(Draining, Session)
	r.Plan.Notice = &Notice{At: []NoticeAt{{Sessions: 3}}}
	f := kind(r)
	f.From.Uncounted = true
	if _, tr, err := Step(r, Input{}, f, noon); tr != nil || err != nil {
		t.Errorf("before it: %+v, %v", tr, err)
	}
	f.From.Uncounted = false
	if _, tr, err := Step(r, Input{}, f, noon); tr == nil || tr.To != Noticing || err != nil {
		t.Errorf("behind it: %+v, %v", tr, err)
	}
}

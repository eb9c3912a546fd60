package release

// Event is what makes a release go from one state to another.
type Event string

// The events. Goes is none that anybody causes: the guard alone decides.
const (
	Goes       Event = ""
	Start      Event = "release"
	Pause      Event = "pause"
	Resume     Event = "resume"
	Abort      Event = "abort"
	Rollback   Event = "rollback"
	Approve    Event = "approve"
	Tell       Event = "notice"
	HookDone   Event = "hook done"
	HookFailed Event = "hook failed"
	ActFailed  Event = "act failed"
)

// Verbs are the events that somebody causes by a word.
func Verbs() []Event { return []Event{Start, Pause, Resume, Abort, Rollback, Approve, Tell} }

// row is a line of the table. One that is urgent happens though hooks are not through, and though a lock or a freeze holds
// changes up.
type row struct {
	from   []State
	on     Event
	by     []Strategy // empty: all
	guard  *guard     // nil: always
	to     State
	urgent bool
}

var (
	flipping  = []Strategy{Session, Instant, Canary}
	gradually = []Strategy{Session, Canary}
	atOnce    = []Strategy{Session, Instant} // those that a group may have
	byBackend = []Strategy{Rolling, InPlace}
)

// table is every transition that there is. Of those that nobody causes, the first whose guard holds is made.
var table = []row{
	{from: is(Staged), on: Start, to: Verifying},

	{from: is(Stepping, Baking, Migrating), by: gradually, guard: &gateRollsBack, to: RollingBack, urgent: true},
	{from: is(Stepping, Baking, Migrating), by: gradually, guard: &gatePauses, to: Paused, urgent: true},
	{from: is(Baking), by: []Strategy{Instant}, guard: &gateRollsBack, to: RollingBack, urgent: true},
	{from: is(Baking), by: []Strategy{Instant}, guard: &gatePauses, to: Paused, urgent: true},
	{from: is(Baking), by: byBackend, guard: &gateRollsBack, to: RollingBack, urgent: true},
	{from: is(Baking), by: byBackend, guard: &gatePauses, to: Paused, urgent: true},
	{from: is(Baking, Draining, Noticing, Migrating), by: flipping, guard: &liveBackByHand, to: RolledBack, urgent: true},
	{from: is(Verifying, Stepping), by: flipping, guard: &liveByHand, to: Flipping, urgent: true},
	{from: is(Flipping, Baking, Draining, Noticing, Migrating, Paused, Failed), by: atOnce, guard: &groupGoesBack, to: RollingBack, urgent: true},
	{from: is(Staged, Verifying, Flipping, Paused, Failed), by: atOnce, guard: &groupEnds, to: Aborting, urgent: true},

	{from: is(Verifying), by: atOnce, guard: &verifiedTogether, to: Flipping},
	{from: is(Verifying), by: []Strategy{Canary}, guard: &verified, to: Stepping},
	{from: is(Verifying), by: []Strategy{Rolling}, guard: &verified, to: Emptying},
	{from: is(Verifying), by: []Strategy{InPlace}, guard: &verified, to: Closing},
	{from: is(Verifying), guard: &unverifiable, to: Failed},

	{from: is(Stepping), by: []Strategy{Canary}, guard: &stepHeld, to: Stepping},
	{from: is(Stepping), by: []Strategy{Canary}, guard: &stepsHeld, to: Flipping},

	{from: is(Flipping), by: gradually, guard: &flipped, to: Baking},
	{from: is(Flipping), by: []Strategy{Instant}, guard: &flipped, to: Migrating},
	{from: is(Migrating), by: []Strategy{Instant}, guard: &marked, to: Baking},
	{from: is(Baking), by: flipping, guard: &baked, to: Draining},

	{from: is(Draining, Migrating), by: gradually, guard: &drained, to: Retiring},
	{from: is(Draining), by: []Strategy{Instant}, guard: &drained, to: Retiring},
	{from: is(Draining), by: gradually, guard: &noticeIsDue, to: Noticing},
	{from: is(Draining), by: gradually, guard: &deadlinePassed, to: Migrating},
	{from: is(Noticing), by: gradually, guard: &told, to: Draining},

	{from: is(Closing), by: []Strategy{InPlace}, guard: &closed, to: Emptying},
	{from: is(Emptying), by: byBackend, guard: &emptied, to: Updating},
	{from: is(Migrating), by: []Strategy{InPlace}, guard: &allMoved, to: Updating},
	{from: is(Emptying), by: []Strategy{InPlace}, guard: &windowOver, to: Migrating},
	{from: is(Updating), by: byBackend, guard: &through, to: Checking},
	{from: is(Checking), by: byBackend, guard: &verifiedGated, to: Baking},
	{from: is(Checking), by: []Strategy{Rolling}, guard: &both, to: Emptying},
	{from: is(Checking), by: byBackend, guard: &verified, to: Opening},
	{from: is(Checking), by: byBackend, guard: &unverifiable, to: Failed},
	{from: is(Baking), by: []Strategy{Rolling}, guard: &soundAndMore, to: Emptying},
	{from: is(Baking), by: byBackend, guard: &sound, to: Opening},
	{from: is(Opening), by: byBackend, guard: &opened, to: Promoting},

	{from: is(Retiring), by: flipping, guard: &through, to: Promoting},
	{from: is(Promoting), guard: &through, to: Done},
	{from: is(RollingBack), guard: &wentBack, to: RolledBack},
	{from: is(Aborting), guard: &wentBack, to: Aborted},

	{from: stoppable(), on: Pause, to: Paused},
	{from: is(Paused, Failed), on: Resume, to: Back},
	{from: is(Staged, Verifying, Stepping, Paused, Failed, Closing, Emptying, Updating, Checking), on: Abort, guard: &neverLive, to: Aborting},
	{from: is(Baking), by: byBackend, on: Abort, to: Aborting},
	{from: is(Flipping), by: atOnce, on: Abort, guard: &awaitsGroup, to: Aborting},
	{from: append(stoppable(), Flipping, Closing, Paused, Failed), on: Rollback, guard: &mayRollBack, to: RollingBack},
	{from: is(Stepping, Baking), on: Approve, guard: &gateWaits, to: Back},

	{from: is(Draining), on: Tell, by: gradually, guard: &somebodyHears, to: Noticing},

	{from: withHooks(), on: HookFailed, to: Failed},
	{from: is(Stepping, Flipping, Migrating, Closing, Emptying, Updating, Checking, Opening, RollingBack, Aborting), on: ActFailed, to: Failed},
	{from: is(Baking), by: byBackend, on: ActFailed, to: Failed},
}

var (
	both          = and(verified, nextBatch)
	verifiedGated = and(verified, gated)
	soundAndMore  = and(sound, nextBatch)
)

// and holds when both do.
func and(a, b guard) guard {
	return guard{a.words + ", and " + b.words, func(v view) string {
		if why := a.not(v); why != "" {
			return why
		}
		return b.not(v)
	}}
}

func is(s ...State) []State { return s }

// stoppable are the states in which a release waits for something.
func stoppable() []State {
	return []State{Verifying, Stepping, Baking, Draining, Noticing, Migrating, Emptying, Updating, Checking, Retiring, Promoting}
}

// withHooks are the states that wait for hooks.
func withHooks() []State { return append(stoppable(), Flipping, RollingBack, Aborting) }

// HooksOf names the hooks that a state waits for, in their order.
func HooksOf(s State) []string {
	switch s {
	case Promoting:
		return []string{"backup", "clone", "stage", "promote"}
	case Verifying, Checking:
		return []string{"verify"}
	case Flipping:
		return []string{"flip"}
	case Baking:
		return []string{"bake"}
	case Draining:
		return []string{"drain"}
	case Noticing:
		return []string{"notice"}
	case Migrating:
		return []string{"migrate"}
	case Updating:
		return []string{"update"}
	case Retiring:
		return []string{"retire"}
	case RollingBack:
		return []string{"rollback"}
	case Aborting:
		return []string{"abort"}
	}
	return nil
}

// matches says whether a row is about a state, an event and a strategy.
func (w row) matches(s State, on Event, by Strategy) bool {
	return w.on == on && in(s, w.from...) && (len(w.by) == 0 || in(by, w.by...))
}

// Package release is the life of a release as one state machine: a table of states, events and guards, and a pure engine
// that walks it.
//
// The engine knows no kernel and no clock. [Step] takes a record, what has happened, what the kernel says and the time, and
// gives the next record; [Due] says what is to be done in a record's state. Whoever drives it saves the record first and
// acts then: an act that a crash cut short is due again, and none of them does harm when it is done twice.
package release

import "slices"

// State is where a release stands.
type State string

// The states.
const (
	Staged    State = "staged"    // what it shall release is there, and nothing has begun
	Verifying State = "verifying" // it is looked at what the release needs
	Stepping  State = "stepping"  // canary: the candidate has a share of the clients
	Flipping  State = "flipping"  // new sessions change over
	Baking    State = "baking"    // gates are watched before the new generation counts as stable
	Draining  State = "draining"  // the old generation's sessions end by themselves
	Noticing  State = "noticing"  // those who are left are told
	Migrating State = "migrating" // those who are left are moved
	Closing   State = "closing"   // in-place: new sessions get the busy answer
	Emptying  State = "emptying"  // rolling, in-place: the sessions of the backends in turn end
	Updating  State = "updating"  // rolling, in-place: hooks change those backends
	Checking  State = "checking"  // rolling, in-place: they are looked at again
	Opening   State = "opening"   // rolling, in-place: they take new sessions again
	Retiring  State = "retiring"  // the old generation is empty, and its backends are released
	Promoting State = "promoting" // backup, clone, and the next one is staged
	Done      State = "done"

	Paused      State = "paused"       // somebody, or a gate, stopped it
	Failed      State = "failed"       // a hook, an act or a check failed
	RollingBack State = "rolling-back" // new sessions go back
	RolledBack  State = "rolled-back"
	Aborting    State = "aborting" // what was begun before a flip is taken back
	Aborted     State = "aborted"

	// Back is the state that a paused or failed release stood in. It is in the table only.
	Back State = "where it stood"
)

// States are all states, in the order of a release.
func States() []State {
	return []State{
		Staged, Verifying, Stepping, Flipping, Baking, Draining, Noticing, Migrating, Closing, Emptying, Updating, Checking,
		Opening, Retiring, Promoting, Done, Paused, Failed, RollingBack, RolledBack, Aborting, Aborted,
	}
}

// Over says whether nothing will happen any more.
func (s State) Over() bool { return in(s, Done, RolledBack, Aborted) }

// Strategy is how a release deals with sessions. The names are those of the configuration.
type Strategy string

// The strategies.
const (
	Session Strategy = "session"
	Instant Strategy = "instant"
	Canary  Strategy = "canary"
	Rolling Strategy = "rolling"
	InPlace Strategy = "in-place"
)

// Strategies are all of them.
func Strategies() []Strategy { return []Strategy{Session, Instant, Canary, Rolling, InPlace} }

// Flips says whether its releases go from one generation to another; the others change the backends of the live one.
func (s Strategy) Flips() bool { return s != Rolling && s != InPlace }

func in[T comparable](v T, list ...T) bool { return slices.Contains(list, v) }

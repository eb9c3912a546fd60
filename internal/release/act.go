package release

import (
	"slices"
	"time"
)

// Act is something that is to be done. All are of the kind that may be done twice.
type Act struct {
	Kind       ActKind
	Generation uint32        // of Flip: who becomes live; of Evict: who loses sessions
	Share      uint16        // of SetShare
	Batch      uint32        // of Evict: at most so many at once; 0: all
	Every      time.Duration // of Evict
	Hook       Hook          // of RunHook
	Backends   []string      // of Rest: who takes no new sessions, of those that the release changes
}

// ActKind says what is done.
type ActKind string

// The acts.
const (
	Flip     ActKind = "flip"
	SetShare ActKind = "share"
	Evict    ActKind = "evict"
	RunHook  ActKind = "hook"
	Close    ActKind = "close" // new sessions get the busy answer
	Rest     ActKind = "rest"  // backends take no new sessions, all others do; with none, all that the release lets
	Open     ActKind = "open"  // all take new sessions
)

// Due is what is to be done in a record's state: what the facts do not show as done. Hooks that run already are due, too;
// their keys tell. Of those that the release waits for, one runs at a time.
func Due(r Record, f Facts) []Act {
	var acts []Act
	for _, h := range r.Pending {
		if h.Told {
			acts = append(acts, Act{Kind: RunHook, Hook: h})
		}
	}
	if waited := r.waited(); len(waited) > 0 && r.Stop == nil && f.Ending == "" { // no two at work on the same backends
		acts = append(acts, Act{Kind: RunHook, Hook: waited[0]})
	}
	if f.Held != "" && !in(r.State, RollingBack, Aborting, Opening) { // these give back what was taken
		return acts
	}
	return append(acts, kernelActs(r, f)...)
}

func kernelActs(r Record, f Facts) []Act {
	var acts []Act
	add := func(a Act) { acts = append(acts, a) }
	switch r.State {
	case Stepping, Aborting, RollingBack:
		if f.To.State == Candidate && f.Share != r.share() {
			add(Act{Kind: SetShare, Share: r.share()})
		}
	}
	switch r.State {
	case Flipping:
		if f.Live != r.To.Number && f.Group.Apart == "" {
			add(Act{Kind: Flip, Generation: r.To.Number})
		}
	case RollingBack:
		if r.Plan.Strategy.Flips() && f.Live == r.To.Number {
			if f.Group.Apart == "" {
				add(Act{Kind: Flip, Generation: r.From.Number})
			}
		} else if r.Plan.Strategy == Instant && f.To.Unmarked > 0 {
			add(Act{Kind: Evict, Generation: r.To.Number, Every: r.Plan.Migrate.Every})
		}
	case Migrating:
		if f.From.Unmarked > 0 {
			a := Act{Kind: Evict, Generation: r.From.Number, Batch: r.Plan.Migrate.Batch, Every: r.Plan.Migrate.Every}
			if r.Plan.Strategy == Instant {
				a.Batch = 0
			}
			add(a)
		}
	}
	if r.Plan.Strategy == InPlace && in(r.State, Closing, Emptying, Migrating, Updating, Checking, Baking) && !f.Resting.Closed {
		add(Act{Kind: Close})
	}
	if r.Plan.Strategy == Rolling && in(r.In(), Emptying, Updating, Checking, Baking) && !slices.Equal(f.Resting.Backends, r.Resting()) &&
		(r.Stop == nil || r.In() == Baking) {
		add(Act{Kind: Rest, Backends: r.Resting()})
	}
	// The rollback's hook puts back what was changed in place, before players come.
	putsBack := r.State == RollingBack && r.Plan.Strategy == InPlace && len(r.waited()) > 0
	if in(r.State, Opening, Aborting, RollingBack) && resting(f) && !putsBack && f.Ending == "" {
		add(Act{Kind: Open})
	}
	return acts
}

func resting(f Facts) bool { return len(f.Resting.Backends) > 0 || f.Resting.Closed }

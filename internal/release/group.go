package release

import (
	"fmt"
	"time"
)

// Group is the releases of other services that one flips with, and goes back with, in one step.
type Group struct {
	Name string   `json:"name"`
	With []Member `json:"with"`
}

// Member is one of these.
type Member struct {
	Service string `json:"service"`
	Number  uint32 `json:"number"`
}

// Together is what a release has to know of the others of its group. Each field names one of them, and is empty where there is
// none to name.
type Together struct {
	Unready string // who could not flip now, and why
	Apart   string // who does not flip, or go back, in one step with it now, and why
	Back    string // who goes back
	Ends    string // who was given up or goes back, so that nobody waits for it
	Stays   string // who flipped and can't go back, and why
}

// Peer is another release of a group, with its own facts. One that nobody knows any more has no state.
type Peer struct {
	Record
	Facts Facts // but for its group's
}

// TogetherWith is what the others of a release's group mean for it.
func TogetherWith(r Record, peers []Peer, now time.Time) (t Together) {
	first := func(to *string, p Peer, why string) {
		if *to == "" && why != "" {
			*to = p.Service + ": " + why
		}
	}
	for _, p := range peers {
		v := view{r: p.Record, f: p.Facts, now: now}
		first(&t.Unready, p, v.unready())
		if in(r.State, RollingBack) {
			first(&t.Apart, p, v.apartBack())
		} else {
			first(&t.Apart, p, v.apart())
		}
		first(&t.Stays, p, v.stays())
		if p.In() == RollingBack {
			first(&t.Back, p, v.stands())
		}
		if v.givenUp() {
			first(&t.Ends, p, v.stands())
		}
	}
	return t
}

// GoesWith says whether a member of a group is flipped in the same step as another that flips, or goes back.
func GoesWith(r Record, p Peer) bool {
	return p.State == r.State && (r.State == Flipping) == (p.Facts.Live != p.To.Number)
}

// stands says where a release is, for those who wait for it.
func (v view) stands() string {
	switch {
	case v.r.State == "":
		return fmt.Sprintf("its release %d is gone", v.r.Number)
	case v.r.Stop != nil:
		return fmt.Sprintf("release %d is %s while %s: %s", v.r.Number, v.r.State, v.r.Stop.State, v.r.Why)
	}
	return fmt.Sprintf("release %d is %s", v.r.Number, v.r.State)
}

func (v view) givenUp() bool { return in(v.r.In(), RollingBack, RolledBack, Aborting, Aborted) }

func (v view) hasFlipped() bool { return !v.r.Flipped.IsZero() || v.f.Live == v.r.To.Number }

// unready is why a release could not flip now, as far as it is up to itself.
func (v view) unready() string {
	switch {
	case v.r.State == "" || v.givenUp():
		return v.stands()
	case v.hasFlipped():
		return ""
	case v.r.State == Flipping:
		return v.f.Held
	case v.r.State != Verifying:
		return v.stands()
	case len(v.r.waited()) > 0:
		return "the hook of " + v.r.waited()[0].Transition + " runs"
	}
	if why := verified.not(v); why != "" {
		return why
	}
	return v.f.Held
}

// apart is why a release can't be in the step in which another of its group flips.
func (v view) apart() string {
	if why := v.unready(); why != "" {
		return why
	}
	return yes(v.r.State == Flipping || v.hasFlipped(), "%s", v.stands())
}

// apartBack is why a release that can go back is not in the step in which another of its group does.
func (v view) apartBack() string {
	switch {
	case v.r.State == "" || v.r.State.Over() || v.f.Live != v.r.To.Number:
		return ""
	case v.r.In() != RollingBack && wayBack(v) != "":
		return ""
	}
	return yes(v.r.State == RollingBack, "%s", v.stands())
}

// stays is why a release that has flipped can't go back.
func (v view) stays() string {
	switch {
	case v.r.State == "" || v.givenUp() || !v.hasFlipped() || v.f.Live == 0: // nothing is live of a service that left the file
		return ""
	case v.r.State == Done:
		return v.stands()
	}
	return wayBack(v)
}

// noteAiling remembers since when checks fail of a release that may wait long, for the others of its group or for a lock: their
// time counts from then.
func (v *view) noteAiling() {
	switch ails := v.ailing() != ""; {
	case v.r.State != Verifying || !ails:
		v.r.Ailing = time.Time{}
	case v.r.Ailing.IsZero():
		v.r.Ailing = v.now
	}
}

// ailed is for how long checks fail.
func (v view) ailed() time.Duration {
	if v.r.Ailing.After(v.r.Since) {
		return v.now.Sub(v.r.Ailing)
	}
	return v.spent()
}

var (
	othersReady = guard{"all others of its group could flip now", func(v view) string {
		return notReady(v.f.Group.Unready)
	}}
	verifiedTogether = and(verified, othersReady)
	groupGoesBack    = guard{"another of its group goes back, and it can go back with it", func(v view) string {
		switch {
		case v.f.Group.Back == "":
			return "none of its group goes back"
		case !v.hasFlipped():
			return "it has not flipped"
		}
		return wayBack(v)
	}}
	groupEnds = guard{"another of its group was given up, and it has not flipped", func(v view) string {
		if v.f.Group.Ends == "" {
			return "none of its group was given up"
		}
		return neverLive.not(v)
	}}
	awaitsGroup = guard{"it waits for the others of its group", func(v view) string {
		if v.f.Group.Apart == "" || v.hasFlipped() {
			return "it is live: roll it back"
		}
		return ""
	}}
)

func notReady(who string) string {
	if who == "" {
		return ""
	}
	return "its group is not ready: " + who
}

package release

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// view is what guards look at.
type view struct {
	r   Record
	f   Facts
	in  Input
	now time.Time
}

// guard is a condition of a transition: its words for the docs, and why it does not hold, empty when it does.
type guard struct {
	words string
	not   func(view) string
}

func yes(holds bool, format string, args ...any) string {
	if holds {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// verifyFor bounds how long checks may fail: next hops of backends that were just staged take a moment.
const verifyFor = 30 * time.Second

var (
	verified = guard{"all checks hold, or it is forced", func(v view) string {
		if v.r.Forced {
			return ""
		}
		if len(v.f.Checks) == 0 {
			return "the checks have not run"
		}
		return v.failedChecks()
	}}
	unverifiable = guard{"a check fails for " + verifyFor.String(), func(v view) string {
		return yes(v.ailing() != "" && v.ailed() >= verifyFor, "the checks may hold yet")
	}}
	liveByHand = guard{"the new generation was flipped to by hand", func(v view) string {
		return yes(v.f.Live == v.r.To.Number && v.r.Plan.Strategy.Flips(), "generation %d is not live", v.r.To.Number)
	}}
	liveBackByHand = guard{"the old generation was flipped back to by hand", func(v view) string {
		return yes(v.f.Live == v.r.From.Number, "generation %d is not live", v.r.From.Number)
	}}
	flipped = guard{"the kernel says that the new generation is live", func(v view) string {
		if v.f.Live != v.r.To.Number && v.f.Group.Apart != "" {
			return notReady(v.f.Group.Apart)
		}
		return yes(v.f.Live == v.r.To.Number, "generation %d is not live yet", v.r.To.Number)
	}}
	stepHeld = guard{"the step took its time, gates pass, and another follows", func(v view) string {
		if why := v.stepOver(); why != "" {
			return why
		}
		return yes(v.r.Step+1 < len(v.r.Plan.Steps), "it was the last step")
	}}
	stepsHeld = guard{"the last step took its time, and gates pass", func(v view) string {
		if why := v.stepOver(); why != "" {
			return why
		}
		return yes(v.r.Step+1 >= len(v.r.Plan.Steps), "more steps follow")
	}}
	baked = guard{"the bake took its time, and gates pass", func(v view) string {
		if rest := v.r.Plan.Bake - v.spent(); rest > 0 {
			return fmt.Sprintf("%s of the bake are left", round(rest))
		}
		return v.gatesPass()
	}}
	gateRollsBack = guard{"a gate fails whose policy is to roll back, and that can be", func(v view) string {
		if v.failed(ByRollback) == "" {
			return "no such gate fails"
		}
		return mayRollBack.not(v)
	}}
	gatePauses = guard{"a gate fails whose policy is to pause, or to roll back where that can't be", func(v view) string {
		if v.failed(ByPause) != "" {
			return ""
		}
		return yes(v.failed(ByRollback) != "" && mayRollBack.not(v) != "", "no such gate fails")
	}}
	drained = guard{"the kernel counts no session of the old generation", func(v view) string {
		g := v.f.From
		switch {
		case g.State == Gone || g.State == Drained || g.State == Candidate && g.Left == 0: // of a reboot nobody is left
			return ""
		case g.Doubt != "":
			return g.Doubt
		}
		return fmt.Sprintf("%d sessions are left on generation %d", g.Left, v.r.From.Number)
	}}
	somebodyHears = guard{"somebody is left, and there is a hook that tells them", func(v view) string {
		switch {
		case !in("notice", v.r.Plan.Hooks...):
			return "no notice hook was configured when it began"
		case v.f.From.Left == 0:
			return fmt.Sprintf("nobody is left on generation %d", v.r.From.Number)
		}
		return ""
	}}
	noticeIsDue    = guard{"a notice is due", func(v view) string { _, due := v.noticeDue(); return yes(due, "no notice is due") }}
	deadlinePassed = guard{"the deadline has passed, and who was to be told was", func(v view) string {
		switch {
		case v.r.Deadline.IsZero():
			return "there is no deadline"
		case v.now.Before(v.r.Deadline):
			return fmt.Sprintf("the deadline is %s", v.r.Deadline.UTC().Format(time.RFC3339))
		}
		return yes(v.r.Plan.Notice == nil || v.r.Notices > 0, "nobody was told yet")
	}}
	told = guard{"the notice's hook is through", func(view) string { return "" }}
	// Who is told to move does so with his next packet: a gate watches that he has somewhere to go.
	marked = guard{"every session of the old generation is told to move", func(v view) string {
		if v.f.From.Uncounted {
			return "the sessions are being counted"
		}
		return yes(v.f.From.Unmarked == 0, "%d sessions are to be told to move", v.f.From.Unmarked)
	}}
	closed  = guard{"new sessions get the busy answer", func(v view) string { return yes(v.f.Resting.Closed, "new sessions still get in") }}
	emptied = guard{"the kernel counts no session of the backends in turn", func(v view) string {
		rest := v.f.Resting
		switch {
		case v.r.Plan.Strategy == Rolling && !slices.Equal(rest.Backends, v.r.InTurn()):
			return "the backends in turn take new sessions"
		case v.r.Plan.Strategy == InPlace && !rest.Closed:
			return "new sessions still get in"
		case !rest.Counted:
			return "their sessions are being counted"
		}
		return yes(rest.Left == 0, "%d sessions are left on %s", rest.Left, strings.Join(v.r.InTurn(), ", "))
	}}
	// One who is silent leaves with his next packet, whatever has become of the backend by then.
	allMoved = guard{"every session is told to move", func(v view) string {
		switch {
		case !v.f.Resting.Counted:
			return "the sessions are being counted"
		case !v.f.Resting.Closed:
			return "new sessions still get in"
		}
		return yes(v.f.From.Unmarked == 0, "%d sessions are to be told to move", v.f.From.Unmarked)
	}}
	windowOver = guard{"the window's time is over", func(v view) string {
		rest := v.r.Plan.Window - v.spent()
		return yes(v.r.Plan.Window > 0 && rest <= 0, "%s of the window are left", round(rest))
	}}
	opened = guard{"all backends take new sessions, and no batch is left", func(v view) string {
		return yes(!resting(v.f) && !v.r.moreBatches(), "backends are left")
	}}
	nextBatch = guard{"another batch follows", func(v view) string {
		return yes(v.r.moreBatches(), "it was the last batch")
	}}
	gated = guard{"gates are to be watched", func(v view) string {
		return yes(len(v.r.Plan.Gates) > 0, "there are no gates")
	}}
	// What is changed one batch after another takes sessions while it is watched; what is changed in place does not yet.
	sound = guard{"gates pass", func(v view) string {
		if v.r.Plan.Strategy == Rolling && len(v.f.Resting.Backends) > 0 {
			return "what was changed does not take new sessions yet"
		}
		return v.gatesPass()
	}}
	through   = guard{"the hooks are through", func(view) string { return "" }}
	neverLive = guard{"it has not flipped", func(v view) string {
		if in(v.r.In(), RollingBack, Aborting) {
			return fmt.Sprintf("it is %s already: resume it", v.r.In())
		}
		if v.r.In() == Promoting {
			return "all backends are changed: resume it"
		}
		return yes(v.r.Flipped.IsZero() && (!v.r.Plan.Strategy.Flips() || v.f.Live != v.r.To.Number),
			"generation %d is live: roll it back", v.r.To.Number)
	}}
	mayRollBack = guard{"the old generation can take the new sessions back, and so can those of its group's others", func(v view) string {
		if why := wayBack(v); why != "" || v.f.Group.Stays == "" {
			return why
		}
		return "it goes back together with its group, and " + v.f.Group.Stays
	}}
	wentBack = guard{"nothing is left to take back", func(v view) string {
		switch {
		case v.r.Plan.Strategy.Flips() && v.f.Live == v.r.To.Number && v.f.Group.Apart != "":
			return notReady(v.f.Group.Apart)
		case v.r.Plan.Strategy.Flips() && v.f.Live == v.r.To.Number:
			return fmt.Sprintf("generation %d is still live", v.r.To.Number)
		case v.f.To.State == Candidate && v.f.Share != 0:
			return "the candidate still has a share of the clients"
		case v.f.Ending != "":
			return "the hook of " + v.f.Ending + " is being stopped"
		case resting(v.f):
			return "backends still take no new sessions"
		case v.r.State == RollingBack && v.r.Plan.Strategy == Instant && v.f.To.Uncounted:
			return "the sessions are being counted"
		}
		return yes(v.r.State != RollingBack || v.r.Plan.Strategy != Instant || v.f.To.Unmarked == 0, "%d sessions are to be told to move", v.f.To.Unmarked)
	}}
	gateWaits = guard{"a gate of that name waits for an approval", func(v view) string {
		for _, g := range v.f.Gates {
			if g.Name == v.in.Gate && g.Approval {
				return yes(!v.r.ApprovedNow(g.Name), "gate %s is approved", g.Name)
			}
		}
		return fmt.Sprintf("no gate %q waits for an approval", v.in.Gate)
	}}
)

// wayBack is why the old generation can't take the new sessions back, as far as it is up to the release itself.
func wayBack(v view) string {
	switch {
	case in(v.r.In(), RollingBack, Aborting):
		return fmt.Sprintf("it is %s already: resume it", v.r.In())
	case in(v.r.In(), Staged, Verifying):
		return "nothing has changed yet: abort it"
	case v.f.Other != 0 && !v.r.Front():
		return fmt.Sprintf("release %d is on its way: abort it, or wait until it has baked", v.f.Other)
	case !v.r.Plan.Strategy.Flips() && v.r.In() == Promoting:
		return "all backends are changed: resume it"
	case !v.r.Plan.Strategy.Flips() || v.r.Flipped.IsZero() && v.f.Live != v.r.To.Number:
		return ""
	case in(v.r.In(), Retiring, Promoting):
		return fmt.Sprintf("generation %d is empty and its backends are being released: stage its version again, or flip to it by hand where they are still there", v.r.From.Number)
	case v.f.Live != v.r.To.Number:
		return fmt.Sprintf("generation %d is live, not generation %d of this release: roll back the release that made it so", v.f.Live, v.r.To.Number)
	}
	return yes(v.f.From.State != Gone && v.f.From.InPool, "generation %d has left its pool: stage its version again", v.r.From.Number)
}

// spent is the time in the state, but for stops.
func (v view) spent() time.Duration { return v.now.Sub(v.r.Since) }

func round(d time.Duration) time.Duration { return max(time.Second, d.Round(time.Second)) }

func (v view) failedChecks() string {
	return v.checks(func(c Check) bool { return !c.OK })
}

// ailing are the checks that have failed, without those whose answer is not there yet.
func (v view) ailing() string {
	return v.checks(func(c Check) bool { return !c.OK && !c.Asking })
}

func (v view) checks(which func(Check) bool) string {
	var bad []string
	for _, c := range v.f.Checks {
		if which(c) {
			bad = append(bad, c.Name+": "+c.Detail)
		}
	}
	return strings.Join(bad, "; ")
}

// notLooked names the checks that nobody could make, which hold nothing up and prove nothing.
func (v view) notLooked() string {
	var out strings.Builder
	for _, c := range v.f.Checks {
		if c.Unknown && !v.r.Forced {
			fmt.Fprintf(&out, "; unknown: %s: %s", c.Name, c.Detail)
		}
	}
	return out.String()
}

func (v view) stepOver() string {
	if v.r.Step < len(v.r.Plan.Steps) {
		step := v.r.Plan.Steps[v.r.Step]
		if v.f.Share != step.Share {
			return "the candidate has not got its share yet"
		}
		if rest := step.For - v.spent(); rest > 0 {
			return fmt.Sprintf("%s of step %d of %d are left", round(rest), v.r.Step+1, len(v.r.Plan.Steps))
		}
	}
	return v.gatesPass()
}

// gatesPass names the first gate that keeps the release from going on. One that only tells keeps nobody.
func (v view) gatesPass() string {
	for _, g := range v.f.Gates {
		if g.Verdict != Pass && g.OnFail != ByTelling {
			return fmt.Sprintf("gate %s: %s: %s", g.Name, g.Verdict, g.Detail)
		}
	}
	return yes(len(v.f.Gates) >= len(v.r.Plan.Gates), "gates have no reading yet")
}

// failed names a gate that fails and has that policy; empty when none does.
func (v view) failed(p Policy) string {
	for _, g := range v.f.Gates {
		if g.Verdict == Fail && g.OnFail == p {
			return fmt.Sprintf("gate %s failed: %s", g.Name, g.Detail)
		}
	}
	return ""
}

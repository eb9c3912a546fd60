package control

import (
	"slices"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/gate"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// marked is what a watch that begins now, and is asked a minute later, has to go by. Meanwhile the new generation has begun
// 600 sessions, of which 60 were reset.
func (a *afternoon) marked() (f gate.Facts) {
	a.t.Helper()
	a.Controller.mu.Lock()
	from, to := a.generationNumbered(1, 1), a.generationNumbered(1, 2)
	var m gateMarks
	must(a.t, m.begin(a.Controller, from, to))
	a.Controller.mu.Unlock()
	a.later(time.Minute)
	a.wentWrong(2, 600, 60)
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	must(a.t, m.count(a.Controller, &f, from, to))
	return f
}

func (a *afternoon) mustCount(f gate.Facts, old gate.Counts, before gate.Rate) {
	a.t.Helper()
	if f.Old.Begun != old.Begun || f.Old.Resets != old.Resets || f.New.Begun != 600 || f.New.Resets != 60 {
		a.t.Errorf("old %+v, new %+v, want %+v and 60 resets of 600", f.Old, f.New, old)
	}
	if f.Since.Count != 600 || f.Since.For < time.Minute || f.Before.Count != before.Count || f.Before.For < before.For {
		a.t.Errorf("since %+v, before %+v, want %+v", f.Since, f.Before, before)
	}
}

func TestAReleaseIsComparedWithTheTimeBeforeIt(t *testing.T) {
	a := startGated(t, "session", gated+"tell}]")
	a.wentWrong(1, 1000, 900) // long ago
	a.later(marksFor)
	a.wentWrong(1, 2000, 901)
	a.later(10 * time.Minute)
	a.wentWrong(1, 5000, 950)
	a.later(10 * time.Minute)
	a.wentWrong(1, 6000, 960)
	a.mustCount(a.marked(), gate.Counts{Begun: 4000, Resets: 59}, gate.Rate{Count: 4000, For: 20 * time.Minute})
}

// What changes backends of the live generation compares it with itself, and each session is counted once.
func TestAGenerationWhoseBackendsChangeIsComparedWithItself(t *testing.T) {
	a := startGated(t, "rolling", "gates: [{kernel: resets, window: 1m, max: 2%}]")
	a.wentWrong(1, 1000, 100)
	a.Controller.mu.Lock()
	var m gateMarks
	g := a.generationNumbered(1, 1)
	must(t, m.begin(a.Controller, g, g))
	m.old.at = m.oldEnd.at.Add(-time.Minute) // it was looked at before
	m.new = m.old
	a.Controller.mu.Unlock()
	a.later(time.Minute)
	a.wentWrong(1, 1600, 160)
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	var f gate.Facts
	must(t, m.count(a.Controller, &f, g, g))
	if f.New.Begun != 600 || f.New.Resets != 60 || f.Since.Count != 600 || f.Old.Begun != 1000 || f.Before.Count != m.oldEnd.fresh-m.old.fresh || f.Before.Count == 0 {
		t.Errorf("%+v", f)
	}
}

// The health gate of a rolling release looks at what was changed, whether it is let take sessions or not.
func TestTheHealthOfWhatWasChangedIsLookedAt(t *testing.T) {
	a := startReleases(t, "rolling", "")
	resolve(t, a.Controller)
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	live := a.image.Services[1].Steer.Live
	first, second := a.image.BackendsOf(live)[0], a.image.BackendsOf(live)[1]
	r := release.Record{
		Service: "s0", State: release.Baking, Plan: release.Plan{Strategy: release.Rolling, Batch: 1}, Backends: a.changeable(live),
	}
	look := func() [2]int {
		usable, of := a.usableChanged(live, kernel.IPv4, r)
		return [2]int{usable, of}
	}
	a.setSick(second, "refused")
	if got := look(); got != [2]int{1, 1} {
		t.Errorf("of the first batch %v are usable", got)
	}
	a.setSick(first, "refused")
	if got := look(); got != [2]int{0, 1} {
		t.Errorf("of a sick batch %v are usable", got)
	}
	if r.Batch = 1; look() != [2]int{0, 2} {
		t.Errorf("of both batches %v are usable", look())
	}
	r.Plan.Strategy, r.Batch = release.InPlace, 0
	if got := look(); got != [2]int{0, 2} {
		t.Errorf("of all %v are usable", got)
	}
}

// A daemon that has just started knows what the kernel has counted, and not since when.
func TestAfterARestartTheOldSessionsAreThoseThatTheKernelHasCounted(t *testing.T) {
	a := startGated(t, "session", gated+"tell}]")
	a.wentWrong(1, 1000, 900)
	a.Controller.mu.Lock()
	a.Controller.gates.history = nil
	a.Controller.mu.Unlock()
	a.mustCount(a.marked(), gate.Counts{Begun: 1000, Resets: 900}, gate.Rate{})
}

// What a service that had no gates counts before it gets some is no measure: nobody counted what went wrong.
func TestWhatBeganBeforeItWasCountedForGatesIsLeftOut(t *testing.T) {
	a := startReleases(t, "session", "bake: 1h")
	a.counted(t, a.generationNumbered(1, 1), 1000)
	must(t, a.plane.Tables.CountTroubles(a.generationNumbered(1, 1)))
	a.counted(t, a.generationNumbered(1, 1), 1200)
	a.mustCount(a.marked(), gate.Counts{Begun: 200}, gate.Rate{})
}

func TestMarksAreSpacedAndForgotten(t *testing.T) {
	var h marks
	at := time.Unix(1_700_000_000, 0)
	for i := range 3600 { // an hour of sweeps
		h.add(mark{at: at.Add(time.Duration(i) * time.Second)})
	}
	first, last := h.list[0].at, h.list[len(h.list)-1].at
	if n := len(h.list); n != int(marksFor/marksEvery)+1 || last.Sub(first) != marksFor {
		t.Errorf("%d marks over %s", n, last.Sub(first))
	}
}

// Gates see lengths by doublings; each bucket of the kernel's lies in one of them.
func TestEndsAreGivenToGatesByDoublings(t *testing.T) {
	var before, after kernel.Lifetimes
	for i := range after {
		before[i], after[i] = 1, 2
	}
	got := endedBetween(&before, &after)
	if want := []uint64{1, 1, 2, 4, 4}; !slices.Equal(got[:5], want) || len(got) != 26 {
		t.Errorf("by doublings %v, want %v and so on", got, want)
	}
	if endedBetween(nil, &after) != nil {
		t.Error("ends are known since a moment of which nothing is")
	}
}

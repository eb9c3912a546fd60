package control

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
)

// startGated lets an afternoon's releases read their own gates.
func startGated(t *testing.T, strategy, text string) *afternoon {
	t.Helper()
	a := startReleases(t, strategy, text)
	a.Controller.mu.Lock()
	a.releases.gates = nil
	a.Controller.mu.Unlock()
	return a
}

// wentWrong sets what is counted of a generation, and sweeps.
func (a *afternoon) wentWrong(number uint32, begun, resets uint64) {
	a.t.Helper()
	g := a.generationNumbered(1, number)
	must(a.t, a.plane.Tables.CountTroubles(g))
	counted := make([]bpf.ProgramCounters, ebpf.MustPossibleCPU())
	counted[0].NewSessions = begun
	must(a.t, a.plane.Tables.Map("generation_counters").Put(uint32(g), counted))
	troubles := make([]bpf.ProgramTroubles, ebpf.MustPossibleCPU())
	troubles[0].Resets = resets
	must(a.t, a.plane.Tables.Map("generation_troubles").Put(uint32(g), troubles))
	must(a.t, a.sweep())
}

// mustRead waits for a reading of the only gate: then it is watched, and counts from when that began.
func (a *afternoon) mustRead(verdict, says string) api.GateReading {
	a.t.Helper()
	var last api.GateReading
	a.mustBe(func(api.Release) bool {
		res, err := a.Gates(a.t.Context(), api.GatesRequest{Service: "s0"})
		must(a.t, err)
		if len(res.Gates) != 1 {
			a.t.Fatalf("%+v", res)
		}
		last = res.Gates[0]
		return res.Release == 1 && last.Verdict == verdict && strings.Contains(last.Detail, says)
	}, verdict, says, &last)
	return last
}

const gated = "bake: 1h, gates: [{kernel: resets, window: 1m, max: 1.5x, on_fail: "

func TestAReleaseIsJudgedByWhatTheKernelCounts(t *testing.T) {
	for policy, want := range map[string]release.State{"rollback": release.RolledBack, "pause": release.Paused} {
		t.Run(policy, func(t *testing.T) {
			a := startGated(t, "session", gated+policy+"}]")
			a.players(4)
			a.wentWrong(1, 10_000, 100)
			_, err := a.say(api.ReleaseStart)
			must(t, err)
			a.mustCome(release.Baking, 4)
			a.mustRead("pending", "")
			a.wentWrong(2, 10_000, 1000)
			a.later(2 * time.Minute)
			a.mustCome(want, 4)
			r := a.mustRead("fail", "1000 resets, 10000 sessions begun (10%), 1% before")
			if *r.Value != 0.1 || *r.Before != 0.01 || *r.P > 1e-9 || *r.Power < 0.99 || r.Threshold != "at most 1.5x" || !r.Final {
				t.Errorf("%+v", r)
			}
			a.mustHaveNoted("fail")
		})
	}
}

// mustHaveNoted checks that a verdict is in the journal.
func (a *afternoon) mustHaveNoted(verdict string) {
	a.t.Helper()
	noted := false
	_, err := a.opt.Journal.Read(0, func(e journal.Event) error {
		var is gateIs
		if e.Act == actGate {
			must(a.t, json.Unmarshal(e.After, &is))
			noted = noted || string(is.Gate.Verdict) == verdict && is.Release == 1 && is.Gate.Gate == "resets"
		}
		return nil
	})
	must(a.t, err)
	if !noted {
		a.t.Errorf("the journal has no %s", verdict)
	}
}

func TestAReleaseGoesOnWhenItsGatesPass(t *testing.T) {
	a := startGated(t, "session", strings.Replace(gated, "1h", "10m", 1)+"rollback}]")
	a.players(4)
	a.wentWrong(1, 10_000, 100)
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Baking, 4)
	a.mustRead("pending", "")
	a.wentWrong(2, 10_000, 110)
	a.later(20 * time.Minute)
	a.mustCome(release.Draining, 4)
	a.mustRead("pass", "sessions begun")
}

// A canary's old generation is live beside the new one: what it counts meanwhile is what the new one is compared with.
func TestACanarysGatesLookAtBothAtOnce(t *testing.T) {
	a := startGated(t, "canary", "steps: [{share: 5%, for: 1h}], gates: [{kernel: resets, window: 1m, max: 1.5x}]")
	a.wentWrong(1, 10, 0)
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Stepping, 0)
	a.mustRead("pending", "")
	a.wentWrong(2, 1000, 300)
	a.wentWrong(1, 20_010, 6000)
	a.later(2 * time.Minute)
	a.mustRead("pass", "300 resets, 1000 sessions begun (30%), 29.99% before")
}

func TestAnApprovalLetsAReleaseGoOn(t *testing.T) {
	a := startGated(t, "session", "bake: 0s, gates: [{approval: ops}]")
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	if r := a.mustCome(release.Baking, 0); !strings.Contains(a.mustRead("pending", "waits for ops to approve").Detail, "ops") {
		t.Errorf("%+v", r)
	}
	a.mustBe(func(r api.Release) bool { return strings.HasPrefix(r.Waits, "gate ops: pending: ") }, "gate ops")
	_, err = a.Release(t.Context(), api.ReleaseRequest{Service: "s0", Do: api.ReleaseApprove, Gate: "ops"})
	must(t, err)
	a.mustBe(func(r api.Release) bool { return r.Over && r.Done }, "done")
}

func TestGatesOfNoReleaseAreThoseOfTheFile(t *testing.T) {
	a := startGated(t, "session", gated+"tell}]")
	res, err := a.Gates(t.Context(), api.GatesRequest{Service: "s0"})
	must(t, err)
	if len(res.Gates) != 1 || res.Release != 0 || res.Gates[0].Threshold != "at most 1.5x" || res.Gates[0].Detail != "it has not been read yet" {
		t.Errorf("%+v", res)
	}
	_, err = a.Gates(t.Context(), api.GatesRequest{Service: "moon"})
	mustRefuse(t, err, api.NotFound, "service moon")
}

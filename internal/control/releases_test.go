package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
	"github.com/ebbtide/ebbtide/internal/state"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// month is a controller whose releases run, with a clock that a test moves: a service an afternoon, for a data plane takes its
// time to load.
type month struct {
	*Controller

	mu         sync.Mutex
	ahead      time.Duration
	afternoons map[string]*afternoon // by service
}

// afternoon is one service of it, with hooks that a test hears of and gates that it sets.
type afternoon struct {
	*month
	t     *testing.T
	name  string
	index uint16

	// Guarded by the month's lock.
	ran   []string // keys of hooks
	fail  map[string]error
	gates []release.Gate
	gated []string // names
}

// startReleases begins an afternoon of service s0, in a month of its own, with that strategy and release.
func startReleases(t *testing.T, strategy, text string) *afternoon {
	t.Helper()
	return startMonth(t, 2).afternoon(t, strategy, text)
}

func startMonth(t *testing.T, services int) *month {
	t.Helper()
	m := &month{Controller: newUnattached(t, manyServices(services, 2)), afternoons: map[string]*afternoon{}}
	must(t, m.save(m.image))
	m.opt.Now = func() time.Time {
		m.mu.Lock()
		defer m.mu.Unlock()
		return time.Now().Add(m.ahead)
	}
	m.releases.hook = func(_ context.Context, r release.Record, h release.Hook) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		a := m.afternoons[r.Service]
		a.ran = append(a.ran, h.Key)
		return a.fail[h.Transition]
	}
	m.releases.gates = func(r release.Record) []release.Gate {
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.Clone(m.afternoons[r.Service].gates)
	}
	m.releases.plan = func(s config.Service, p *release.Plan) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, name := range m.afternoons[s.Name].gated {
			p.Gates = append(p.Gates, config.Gate{Name: name})
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		if err := m.releaseLoop(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		loop.Wait()
	})
	return m
}

// afternoon begins one, of the next service.
func (m *month) afternoon(t *testing.T, strategy, text string) *afternoon {
	t.Helper()
	a := &afternoon{month: m, t: t, fail: map[string]error{}}
	m.mu.Lock()
	a.name = fmt.Sprintf("s%d", len(m.afternoons))
	m.afternoons[a.name] = a
	m.mu.Unlock()
	yaml := strings.Replace(manyServices(1, 2), "    pools:", "    strategy: "+strategy+"\n    release: {"+text+"}\n    pools:", 1)
	cfg, err := config.Parse("one.yaml", []byte(yaml))
	must(t, err)
	m.Controller.mu.Lock()
	defer m.Controller.mu.Unlock()
	at := slices.IndexFunc(m.cfg.Services, func(s config.Service) bool { return s.Name == a.name })
	m.cfg.Services[at].Strategy, m.cfg.Services[at].Release = cfg.Services[0].Strategy, cfg.Services[0].Release
	a.index, _ = m.image.ServiceNamed(a.name)
	for slot := range m.plane.Tables.SlotCount(kernel.IPv4) { // nobody is left of the last one
		if meta := m.plane.Tables.Meta(kernel.IPv4, slot); meta != 0 {
			m.plane.Tables.SwapMeta(kernel.IPv4, slot, meta, 0)
		}
	}
	return a
}

// players are so many established flows on what is live.
func (a *afternoon) players(n int) {
	a.t.Helper()
	now, err := a.plane.Now()
	must(a.t, err)
	live := a.image.BackendsOf(a.image.Services[a.index].Steer.Live)[0]
	mapstest.Fill4(a.t, a.plane.Tables, 4096, n, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, live, now) })
}

// leave ends so many flows.
func (a *afternoon) leave(n int) {
	a.t.Helper()
	for slot := range a.plane.Tables.SlotCount(kernel.IPv4) {
		if m := a.plane.Tables.Meta(kernel.IPv4, slot); n > 0 && m != 0 {
			if !a.plane.Tables.SwapMeta(kernel.IPv4, slot, m, 0) {
				a.t.Fatal("a slot changed")
			}
			n--
		}
	}
	if n > 0 {
		a.t.Fatalf("%d too few", n)
	}
	must(a.t, a.sweep())
}

func (a *afternoon) later(d time.Duration) {
	a.mu.Lock()
	a.ahead += d
	a.mu.Unlock()
	a.Controller.mu.Lock()
	a.changed()
	a.Controller.mu.Unlock()
}

func (a *afternoon) watchGate(v release.Verdict, p release.Policy) {
	a.mu.Lock()
	a.gates = []release.Gate{{Name: "early", Verdict: v, OnFail: p, Detail: "4% of 2%"}}
	a.mu.Unlock()
	a.later(0)
}

func (a *afternoon) hooks() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ran)
}

// say says a word of service s0's releases.
func (a *afternoon) say(word string) (api.Release, error) {
	return a.Release(a.t.Context(), api.ReleaseRequest{Service: a.name, Do: word, Force: word == api.ReleaseStart})
}

// mustCome waits until the newest release is in a state, and nothing keeps it from going there but sweeps.
func (a *afternoon) mustCome(want release.State, left uint64) api.Release {
	a.t.Helper()
	return a.mustBe(func(r api.Release) bool {
		return r.State == string(want) && r.Left == left && (len(r.Hooks) == 0 || !r.Over)
	}, want, left)
}

// mustBe waits until the newest release is as wanted; words say how.
func (a *afternoon) mustBe(wanted func(api.Release) bool, words ...any) api.Release {
	a.t.Helper()
	ctx, stop := context.WithTimeout(a.t.Context(), time.Minute)
	defer stop()
	var last api.Release
	err := a.WatchRelease(ctx, api.ReleasesRequest{Service: a.name}, func(r api.Release) error {
		if last = r; wanted(r) {
			return errThere
		}
		a.sweepSoon()
		return a.sweep()
	})
	if !errors.Is(err, errThere) {
		a.t.Fatalf("want %v: %v, %+v", words, err, last)
	}
	return last
}

var errThere = errors.New("there")

func (a *afternoon) mustRun(want ...string) {
	a.t.Helper()
	for i, w := range want {
		want[i] = a.name + "/1/" + w
	}
	if got := a.hooks(); !slices.Equal(got, want) {
		a.t.Errorf("hooks %q, want %q", got, want)
	}
}

const allHooks = "hooks: {verify: [{exec: [/x]}], flip: [{exec: [/x]}], notice: [{exec: [/x]}], migrate: [{exec: [/x]}], retire: [{exec: [/x]}], backup: [{exec: [/x]}], promote: [{exec: [/x]}], rollback: [{exec: [/x]}], abort: [{exec: [/x]}]}"

// Each of these is a test of its own; they share a data plane.
func TestReleases(t *testing.T) {
	m := startMonth(t, 20)
	for _, test := range []struct {
		says string
		run  func(*testing.T, *month)
	}{
		{"a session release goes from the flip to the last session", testASessionReleaseGoesFromTheFlipToTheLastSession},
		{"a rollback in the middle of a drain takes the release back", testARollbackInTheMiddleOfADrainTakesTheReleaseBack},
		{"a gate that fails rolls back or pauses", testAGateThatFailsRollsBackOrPauses},
		{"an instant release moves all and its rollback moves them back", testAnInstantReleaseMovesAllAndItsRollbackMovesThemBack},
		{"an instant release moves whom nobody had counted yet", testAnInstantReleaseMovesWhomNobodyHadCountedYet},
		{"a canary takes its steps and an abort takes the share back", testACanaryTakesItsStepsAndAnAbortTakesTheShareBack},
		{"a hook that fails leaves a release that can be resumed", testAHookThatFailsLeavesAReleaseThatCanBeResumed},
		{"a locked service is released after it", testALockedServiceIsReleasedAfterIt},
		{"an in place release is closed until its backends are changed", testAnInPlaceReleaseIsClosedUntilItsBackendsAreChanged},
	} {
		t.Run(test.says, func(t *testing.T) { test.run(t, m) })
	}
}

func testASessionReleaseGoesFromTheFlipToTheLastSession(t *testing.T, m *month) {
	a := m.afternoon(t, "session", "bake: 10m, deadline: 2h, notice: {at: [3 sessions]}, migrate: {batch: 2, every: 100ms}, "+allHooks)
	a.players(5)
	must(t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	r := a.mustCome(release.Baking, 5)
	if r.Number != 1 || r.From.Number != 1 || r.To.Number != 2 || r.AtFlip != 5 || !strings.Contains(r.Waits, "of the bake are left") {
		t.Errorf("%+v", r)
	}
	if live := a.plane.Tables.Steer(a.index).Live; a.image.Generations[live].Number != 2 {
		t.Errorf("generation %d is live", a.image.Generations[live].Number)
	}
	a.later(10 * time.Minute)
	a.mustCome(release.Draining, 5)
	if a.state.Services[a.name].Stable != 2 {
		t.Error("it has baked, and is not stable")
	}
	a.leave(2)
	told := func(r api.Release) bool { return r.State == string(release.Draining) && r.Left == 3 && r.Notices == 1 }
	if r := a.mustBe(told, "told"); r.Waits != "3 sessions are left on generation 1" {
		t.Errorf("%+v", r)
	}
	a.mustRun("verify", "flip", "notice/1")
	a.later(2 * time.Hour)
	a.mustCome(release.Migrating, 3)
	for a.sessionsOf(1).Evicting < 3 { // the batches are its own clock's
		must(t, a.sweep())
	}
	a.leave(3)
	r = a.mustCome(release.Done, 0)
	a.mustRun("verify", "flip", "notice/1", "migrate", "retire", "backup", "promote")
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	a.mustAgree(t)
	if r.Finished == nil || r.Waits != "" {
		t.Errorf("%+v", r)
	}
}

func (a *afternoon) sessionsOf(number uint32) api.Sessions {
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	return a.sessions(a.generationNumbered(a.index, number))
}

func testARollbackInTheMiddleOfADrainTakesTheReleaseBack(t *testing.T, m *month) {
	a := m.afternoon(t, "session", "bake: 0s, "+allHooks)
	a.players(4)
	must(t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Draining, 4)
	res, err := a.Rollback(t.Context(), api.RollbackRequest{Service: a.name})
	must(t, err)
	if res.Live.Number != 1 || !res.Changed || res.NewOnOld != 0 {
		t.Errorf("%+v", res)
	}
	a.mustCome(release.RolledBack, 4)
	a.mustRun("verify", "flip", "rollback")
	_, err = a.say(api.ReleaseRollback)
	mustRefuse(t, err, api.Refused, "service "+a.name+": release 1 is rolled-back: it is over")
}

func testAGateThatFailsRollsBackOrPauses(t *testing.T, m *month) {
	for policy, want := range map[release.Policy]release.State{release.ByRollback: release.RolledBack, release.ByPause: release.Paused} {
		t.Run(string(policy), func(t *testing.T) {
			a := m.afternoon(t, "session", "bake: 10m")
			a.gateNames("early")
			a.players(4)
			must(t, a.sweep())
			_, err := a.say(api.ReleaseStart)
			must(t, err)
			a.watchGate(release.Pending, policy)
			a.mustCome(release.Baking, 4)
			a.later(time.Hour)
			if r := a.mustCome(release.Baking, 4); r.Waits != "gate early: pending: 4% of 2%" {
				t.Errorf("%+v", r)
			}
			a.watchGate(release.Fail, policy)
			if r := a.mustCome(want, 4); r.Why != "gate early failed: 4% of 2%" && want == release.Paused {
				t.Errorf("%+v", r)
			}
			if want == release.Paused {
				a.watchGate(release.Pass, policy)
				_, err = a.say(api.ReleaseResume)
				must(t, err)
				a.mustCome(release.Draining, 4)
			}
		})
	}
}

// gateNames makes the afternoon's next releases have gates.
func (a *afternoon) gateNames(names ...string) {
	a.month.mu.Lock()
	defer a.month.mu.Unlock()
	a.gated = names
}

func testAnInstantReleaseMovesAllAndItsRollbackMovesThemBack(t *testing.T, m *month) {
	a := m.afternoon(t, "instant", "bake: 10m")
	a.mustMoveAllThereAndBack(func() { must(t, a.sweep()) }, func() {
		_, err := a.say(api.ReleaseRollback)
		must(t, err)
	})
}

// Another service's flip was a moment ago, and the count after it is shared: who came since is in none.
func testAnInstantReleaseMovesWhomNobodyHadCountedYet(t *testing.T, m *month) {
	a := m.afternoon(t, "instant", "bake: 10m")
	must(t, a.sweep())
	a.mustMoveAllThereAndBack(func() {
		now := m.opt.Now()
		m.Controller.mu.Lock()
		m.releases.counted = now
		m.Controller.mu.Unlock()
	}, func() { a.watchGate(release.Fail, release.ByRollback) })
}

// mustMoveAllThereAndBack releases at once, and takes that back. Behind the players' coming, each time, comes what is counted.
func (a *afternoon) mustMoveAllThereAndBack(counted, takeBack func()) {
	a.t.Helper()
	a.players(6)
	counted()
	_, err := a.say(api.ReleaseStart)
	must(a.t, err)
	a.mustCome(release.Baking, 6)
	if s := a.sessionsOf(1); s.Evicting != 6 {
		a.t.Errorf("%+v", s)
	}
	a.leave(6)
	now, err := a.plane.Now()
	must(a.t, err)
	green := a.image.BackendsOf(a.generationNumbered(a.index, 2))[0]
	mapstest.Fill4(a.t, a.plane.Tables, 4096, 3, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, green, now) })
	counted()
	takeBack()
	a.mustCome(release.RolledBack, 0)
	if s := a.sessionsOf(2); s.Evicting != 3 {
		a.t.Errorf("%+v", s)
	}
}

func testACanaryTakesItsStepsAndAnAbortTakesTheShareBack(t *testing.T, m *month) {
	a := m.afternoon(t, "canary", "bake: 0s, steps: [{share: 5%, for: 10m}, {share: 25%, for: 10m}], "+allHooks)
	a.players(2)
	must(t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	share := func() uint16 { return a.plane.Tables.Steer(a.index).Share }
	if r := a.mustCome(release.Stepping, 0); r.Step != 1 || r.Steps != 2 || share() != 500 {
		t.Errorf("%+v, %d", r, share())
	}
	five := uint16(9000)
	_, err = a.Share(t.Context(), api.ShareRequest{Service: a.name, TenThousandths: &five, Force: true})
	mustRefuse(t, err, api.Refused, "service "+a.name+": release 1 sets the share: pause it first, or abort it")
	a.later(10 * time.Minute)
	for share() != 2500 {
		a.mustCome(release.Stepping, 0)
	}
	_, err = a.say(api.ReleaseStart)
	mustRefuse(t, err, api.Refused, "service "+a.name+": release 1 of it is stepping: it has to have baked")
	_, err = a.say(api.ReleaseAbort)
	must(t, err)
	a.mustCome(release.Aborted, 0)
	if share() != 0 {
		t.Errorf("the candidate still has %d", share())
	}
	a.mustRun("verify", "abort")
	_, err = a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Stepping, 0)
	a.later(10 * time.Minute)
	for share() != 2500 {
		a.mustCome(release.Stepping, 0)
	}
	a.later(10 * time.Minute)
	a.mustCome(release.Draining, 2)
}

func testAHookThatFailsLeavesAReleaseThatCanBeResumed(t *testing.T, m *month) {
	a := m.afternoon(t, "session", "bake: 0s, "+allHooks)
	a.fail["backup"] = errors.New("the disk is full")
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	if r := a.mustCome(release.Failed, 0); r.StoppedIn != "promoting" || r.Why != "the hook of backup: the disk is full" {
		t.Errorf("%+v", r)
	}
	a.mu.Lock()
	delete(a.fail, "backup")
	a.mu.Unlock()
	_, err = a.say(api.ReleaseResume)
	must(t, err)
	a.mustCome(release.Done, 0)
	a.mustRun("verify", "flip", "retire", "backup", "backup", "promote")
}

func testALockedServiceIsReleasedAfterIt(t *testing.T, m *month) {
	a := m.afternoon(t, "session", "bake: 10m")
	a.gateNames("early")
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Baking, 0)
	_, err = a.Lock(t.Context(), api.LockRequest{Service: a.name, ForSeconds: 3600, Act: api.Act{Reason: "a tournament"}})
	must(t, err)
	_, err = a.say(api.ReleasePause)
	mustRefuse(t, err, api.Refused, "locked by")
	a.watchGate(release.Fail, release.ByRollback)
	a.mustCome(release.RolledBack, 0)
}

// A daemon that was killed between the journal and the state file goes on from the journal.
func testAnInPlaceReleaseIsClosedUntilItsBackendsAreChanged(t *testing.T, m *month) {
	for what, leave := range map[string]func(*afternoon){
		"emptied":    func(a *afternoon) { a.leave(4) },
		"moved":      func(a *afternoon) { a.later(time.Hour) },
		"aborted":    func(a *afternoon) { _, err := a.say(api.ReleaseAbort); must(a.t, err) },
		"taken back": func(a *afternoon) { _, err := a.say(api.ReleaseRollback); must(a.t, err) },
	} {
		t.Run(what, func(t *testing.T) {
			a := m.afternoon(t, "in-place", "busy: icmp, window: 1h, hooks: {migrate: [{exec: [/x]}], update: [{exec: [/x]}]}")
			a.players(4)
			must(t, a.sweep())
			_, err := a.say(api.ReleaseStart)
			must(t, err)
			if r := a.mustCome(release.Emptying, 0); r.From != r.To {
				t.Errorf("%+v", r)
			}
			if s := a.plane.Tables.Steer(a.index); !s.Busy {
				t.Error("new sessions get in")
			}
			_, err = a.OpenService(t.Context(), api.OpenRequest{Service: a.name})
			mustRefuse(t, err, api.Refused, "service "+a.name+": release 1 closes and opens it")
			leave(a)
			over, hooks := release.Done, []string{"update/1"}
			switch what {
			case "moved":
				hooks = []string{"migrate", "update/1"}
			case "aborted":
				over, hooks = release.Aborted, []string{}
			case "taken back":
				over, hooks = release.RolledBack, []string{}
			}
			a.mustCome(over, 0)
			if a.mustRun(hooks...); a.plane.Tables.Steer(a.index).Busy {
				t.Error("it is still closed")
			}
			if s := a.sessionsOf(1); what == "moved" && s.Evicting != 4 || what == "aborted" && s.Established != 4 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestAReleaseGoesOnFromTheJournalWhereThatIsAhead(t *testing.T) {
	a := startReleases(t, "session", "bake: 10m")
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Baking, 0)
	a.Controller.mu.Lock()
	defer a.Controller.mu.Unlock()
	r, _ := a.releaseOf("s0", 1)
	next, transition, err := release.Step(r, release.Input{Event: release.Pause, By: "ops"}, a.facts(r), a.releaseNow())
	must(t, err)
	_, err = a.noteTransition(t.Context(), next, transition)
	must(t, err)
	must(t, a.resumeReleases())
	if r, _ := a.releaseOf("s0", 1); r.State != release.Paused || r.Stop.State != release.Baking || r.Turn != next.Turn {
		t.Errorf("%+v", r)
	}
	a.mustAgree(t)
	must(t, a.resumeReleases())
	if events := a.transitions(t); len(events) != 4 || events[3] != "baking to paused" {
		t.Errorf("%q", events)
	}
}

// transitions are those in the journal.
func (a *afternoon) transitions(t *testing.T) (out []string) {
	t.Helper()
	_, err := a.opt.Journal.Read(0, func(e journal.Event) error {
		if e.Act == actRelease {
			was, is := transitionIs{}, transitionIs{}
			must(t, errors.Join(json.Unmarshal(e.Before, &was), json.Unmarshal(e.After, &is)))
			out = append(out, fmt.Sprintf("%s to %s", was.State, is.State))
		}
		return nil
	})
	must(t, err)
	return out
}

// What the state file could not have was refused: no later daemon makes it, whether the journal had it already or not.
func TestAWordThatTheStateFileCouldNotHaveIsNotHeardLater(t *testing.T) {
	for name, broken := range map[string]func(dir string) error{
		"before the journal": os.RemoveAll,
		"behind the journal": func(dir string) error { return os.Mkdir(filepath.Join(dir, "state.json"), 0o700) }, // nothing can be put in its place
	} {
		t.Run(name, func(t *testing.T) { refusedWord(t, broken) })
	}
}

// refusedWord says a word to a release while the state file can't be written.
func refusedWord(t *testing.T, breakIt func(dir string) error) {
	a := startReleases(t, "session", "bake: 10m")
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Baking, 0)
	dir := filepath.Join(t.TempDir(), "state")
	broken, err := state.Open(dir)
	must(t, err)
	t.Cleanup(func() { broken.Close() })
	must(t, breakIt(dir))
	store := a.opt.Store
	swap := func(to *state.Store) {
		a.Controller.mu.Lock()
		defer a.Controller.mu.Unlock()
		a.opt.Store = to
	}
	swap(broken)
	if _, err := a.say(api.ReleasePause); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatalf("got %v", err)
	}
	a.later(10 * time.Minute) // the release itself can't go on either, and is not stopped by that
	if r := a.mustBe(func(r api.Release) bool { return strings.Contains(r.Waits, "save state") }); r.State != string(release.Baking) {
		t.Errorf("%+v", r)
	}
	swap(store)
	a.Controller.mu.Lock()
	must(t, a.resumeReleases())
	r, _ := a.releaseOf("s0", 1)
	a.Controller.mu.Unlock()
	if r.State != release.Baking || r.Stop != nil {
		t.Errorf("after a restart it is %+v", r)
	}
	a.later(mostPatience)
	a.mustCome(release.Done, 0)
	if trouble := a.releases.trouble; len(trouble) != 0 {
		t.Errorf("still in trouble: %+v", trouble)
	}
}

// A service that was gone and came back, or whose state file was lost, has no release again that it had, and its next one has a
// number of its own: the journal would have its hooks for run.
func TestANumberOfAReleaseIsNotGivenTwice(t *testing.T) {
	a := startReleases(t, "session", "bake: 0s, hooks: {flip: [{exec: [/bin/true]}]}")
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Done, 0)
	first := a.hooks()
	a.Controller.mu.Lock()
	gone := stateOf(image.New(), a.state).Services["s0"]
	if gone.NextRelease != 2 || gone.NextGeneration != 3 {
		t.Errorf("of a service that is gone there is kept %+v", gone)
	}
	lost := a.state
	lost.Services = maps.Clone(lost.Services)
	s := lost.Services["s0"]
	s.Releases, s.NextRelease, s.Stable = nil, 0, 0
	lost.Services["s0"] = s
	a.state = lost
	must(t, a.resumeReleases())
	if list := a.state.Services["s0"].Releases; len(list) != 0 {
		t.Errorf("releases came back: %+v", list)
	}
	a.Controller.mu.Unlock()
	r, err := a.say(api.ReleaseStart)
	must(t, err)
	if r.Number != 2 {
		t.Errorf("the next release has number %d", r.Number)
	}
	a.mustCome(release.Done, 0)
	if all := a.hooks(); len(first) != 1 || len(all) != 2 || all[0] == all[1] {
		t.Errorf("hooks ran with the keys %q", all)
	}
}

func TestAFileThatWouldTakeAReleasesWayBackIsRefused(t *testing.T) {
	a := startReleases(t, "session", "bake: 10m")
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	a.mustCome(release.Baking, 0)
	cfg, err := config.Parse("next.yaml", []byte(strings.Replace(manyServices(2, 2), "version: v0", "version: v2", 1)))
	must(t, err)
	a.Controller.mu.Lock()
	want, _, err := a.build(cfg)
	must(t, err)
	mustRefuse(t, a.keepsReleases(want), api.Refused, "service s0: release 1 of it is baking, and needs generation 1: wait until it has baked, or abort or roll it back")
	a.Controller.mu.Unlock()
	a.later(10 * time.Minute)
	a.mustCome(release.Done, 0)
	must(t, a.keepsReleases(want))
}

// startRolling begins a rolling release of two backends, of which the first has three players.
func startRolling(t *testing.T) *afternoon {
	t.Helper()
	a := startReleases(t, "rolling", "hooks: {update: [{exec: [/x]}]}")
	resolve(t, a.Controller)
	a.players(3)
	must(t, a.sweep())
	_, err := a.say(api.ReleaseStart)
	must(t, err)
	return a
}

func TestARollingReleaseTakesOutABackendAfterTheOther(t *testing.T) {
	a := startRolling(t)
	r := a.mustBe(func(r api.Release) bool {
		return r.State == string(release.Emptying) && strings.Contains(r.Waits, "left on")
	}, "emptying")
	live := a.image.Services[1].Steer.Live
	first, second := a.image.BackendsOf(live)[0], a.image.BackendsOf(live)[1]
	only := func(id uint16) bool {
		a.Controller.mu.Lock()
		defer a.Controller.mu.Unlock()
		table, err := a.image.MaglevIn(a.plane.Tables, live, kernel.IPv4)
		must(t, err)
		return len(table) > 0 && !slices.ContainsFunc(table, func(in uint16) bool { return in != id })
	}
	if r.Step != 1 || r.Steps != 2 || r.Waits != "3 sessions are left on 10.0.0.1" || !only(second) {
		t.Errorf("%+v", r)
	}
	// A daemon that starts again, and a reload, come to the same.
	again := reborn(t, a.Controller)
	want, _, err := again.build(a.cfg)
	must(t, err)
	must(t, again.write(want))
	if !only(second) {
		t.Error("a restart has put it back")
	}
	a.leave(3)
	a.mustBe(func(r api.Release) bool { return r.State == string(release.Done) }, "done")
	a.mustRun("update/1", "update/2")
	if only(first) || only(second) {
		t.Error("one of them is still out")
	}
}

// A backend that somebody takes out of the pool before its turn takes no new sessions, so its turn comes and goes.
func TestARollingReleaseGoesOnWithoutABackendThatWasTakenOut(t *testing.T) {
	a := startRolling(t)
	a.mustBe(func(r api.Release) bool { return r.Waits == "3 sessions are left on 10.0.0.1" }, "emptying")
	cfg, err := config.Parse("less.yaml", []byte(strings.Replace(manyServices(2, 2), "          - {address: 10.0.0.2}\n", "", 1)))
	must(t, err)
	a.Controller.mu.Lock()
	want, _, err := a.build(cfg)
	must(t, err)
	must(t, a.write(want))
	a.Controller.mu.Unlock()
	a.leave(3)
	a.mustBe(func(r api.Release) bool { return r.State == string(release.Done) }, "done")
	a.mustRun("update/1", "update/2")
}

// resolve gives every backend of the first service a next hop.
func resolve(t *testing.T, c *Controller) {
	t.Helper()
	for id, b := range c.image.Backends {
		if b.Service == 1 {
			c.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{IfIndex: 1})
		}
	}
}

// diedBefore is what a daemon dies of in a test.
type diedBefore struct{ step string }

// reborn is the controller of a daemon that starts on what another one has left.
func reborn(t *testing.T, old *Controller) *Controller {
	t.Helper()
	c := &Controller{
		opt: old.opt, log: old.log, plane: old.plane, cfg: old.cfg, hops: old.hops, looks: newLooks(), drains: map[uint16]*drain{},
		kick: make(chan struct{}, 1), change: make(chan struct{}),
	}
	c.opt.Step = nil
	var err error
	c.state, err = c.opt.Store.Load()
	must(t, err)
	c.image, err = image.Read(c.plane.Tables)
	must(t, err)
	must(t, c.resume())
	c.conclude()
	must(t, c.resumeReleases())
	return c
}

// walk drives a release of s0 to its end, and gives what the daemon died before; empty: it did not.
func (c *Controller) walk(t *testing.T, begin bool) (before string) {
	t.Helper()
	defer func() {
		if k, ok := recover().(diedBefore); ok {
			before = k.step
		}
	}()
	if begin {
		_, err := c.Release(t.Context(), api.ReleaseRequest{Service: "s0", Do: api.ReleaseStart, Force: true})
		must(t, err)
	}
	for range 20 {
		must(t, c.sweep())
		if !c.advanceAll() {
			return ""
		}
	}
	t.Fatalf("it does not end: %+v", c.state.Services["s0"].Releases)
	return ""
}

func TestAReleaseGoesOnWhereverItsDaemonWasKilled(t *testing.T) {
	c := newUnattached(t, strings.Replace(manyServices(1, 2), "    pools:", "    release: {bake: 0s}\n    pools:", 1))
	must(t, c.save(c.image))
	var writes []string
	whole := reborn(t, c)
	whole.opt.Step = func(what string) { writes = append(writes, what) }
	whole.walk(t, true)
	c = reborn(t, c)
	points := map[string]int{}
	for n := range len(writes) {
		if most := map[bool]int{true: 4, false: 1}[writes[n] == "release: save"]; points[writes[n]] >= most { // more are as the first ones
			continue
		}
		seen, live := 0, c.image.Generations[c.image.Services[1].Steer.Live].Number
		doomed := reborn(t, c)
		doomed.opt.Step = func(what string) {
			if seen++; seen == n+1 {
				panic(diedBefore{what})
			}
		}
		before := doomed.walk(t, true)
		c = reborn(t, c)
		if before == "" {
			t.Fatalf("it did not come to its write %d of %q", n, writes)
		}
		points[before]++
		if s := c.walk(t, false); s != "" {
			t.Fatal(s)
		}
		all := c.state.Services["s0"].Releases
		now := c.image.Generations[c.image.Services[1].Steer.Live].Number
		switch {
		case len(all) == 0: // killed before it began
			if now != live {
				t.Fatalf("killed before %s: generation %d is live, and no release made it so", before, now)
			}
		case all[len(all)-1].State != release.Done:
			t.Fatalf("killed before %s: %+v", before, all[len(all)-1])
		case now != all[len(all)-1].To.Number:
			t.Fatalf("killed before %s: generation %d is live after %+v", before, now, all[len(all)-1])
		}
		c.mustAgree(t)
	}
	for _, want := range []string{"release: journal", "release: save", "flip: journal", "flip: store", "flip: barrier", "flip: mark", "drain: seal"} {
		if points[want] == 0 {
			t.Errorf("it was never killed before %q: %v", want, points)
		}
	}
}

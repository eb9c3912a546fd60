package control

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/release"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// pairOf are the afternoons of two services of one group.
type pairOf struct {
	*month
	t    *testing.T
	name string // of the group
	a, b *afternoon
}

// pair begins the afternoons of the next two services, in a group.
func (m *month) pair(t *testing.T, strategies [2]string, text string) *pairOf {
	t.Helper()
	p := &pairOf{month: m, t: t, a: m.afternoon(t, strategies[0], text), b: m.afternoon(t, strategies[1], text)}
	p.name = "shard-" + p.a.name
	m.Controller.mu.Lock()
	defer m.Controller.mu.Unlock()
	must(t, m.putTogether(p.name, p.a.name, p.b.name))
	return p
}

// putTogether puts services into a group, as a configuration would.
func (c *Controller) putTogether(group string, names ...string) error {
	next := c.state
	next.Services = maps.Clone(next.Services)
	for _, name := range names {
		s := next.Services[name]
		s.Group = group
		next.Services[name] = s
	}
	return c.saveState(next)
}

// players are so many established flows on what is live of each.
func (p *pairOf) players(n int) {
	p.t.Helper()
	now, err := p.plane.Now()
	must(p.t, err)
	mapstest.Fill4(p.t, p.plane.Tables, 4096, 2*n, func(i int) kernel.Meta {
		of := []*afternoon{p.a, p.b}[i%2]
		return mapstest.Meta(kernel.Established, 1, p.image.BackendsOf(p.image.Services[of.index].Steer.Live)[0], now)
	})
	must(p.t, p.sweep())
}

// resolve gives the backends of one a next hop, or takes it.
func (p *pairOf) resolve(of *afternoon, resolved bool) {
	p.Controller.mu.Lock()
	defer p.Controller.mu.Unlock()
	for id, b := range p.image.Backends {
		if b.Service != of.index {
			continue
		}
		var hop kernel.Hop
		if resolved {
			hop.IfIndex = 1
		}
		p.plane.Tables.SetHop(kernel.IPv4, id, hop)
	}
}

func (p *pairOf) say(word string) (api.GroupReleases, error) {
	return p.ReleaseGroup(p.t.Context(), api.GroupReleaseRequest{Group: p.name, Do: word})
}

// live are the generations that are live of each.
func (p *pairOf) live() [2]uint32 {
	p.Controller.mu.Lock()
	defer p.Controller.mu.Unlock()
	var out [2]uint32
	for i, of := range []*afternoon{p.a, p.b} {
		out[i] = p.image.Generations[p.plane.Tables.Steer(of.index).Live].Number
	}
	return out
}

func (p *pairOf) mustLive(want uint32) {
	p.t.Helper()
	if got := p.live(); got != [2]uint32{want, want} {
		p.t.Errorf("live are %v, want %d of each", got, want)
	}
}

// mustCome waits until the newest release of each is in a state.
func (p *pairOf) mustCome(want release.State, left uint64) {
	p.t.Helper()
	p.a.mustCome(want, left)
	p.b.mustCome(want, left)
}

// Each of these is a test of its own; they share a data plane.
func TestGroupReleases(t *testing.T) {
	m := startMonth(t, 24)
	for _, test := range []struct {
		says string
		run  func(*testing.T, *month)
	}{
		{"none flips before all could, and then all do in one step", testNoneFlipsBeforeAllCould},
		{"a word to one takes all back", testAWordToOneTakesAllBack},
		{"a word to the group takes all back with a proof", testAWordToTheGroupTakesAllBackWithAProof},
		{"a gate of one takes all back", testAGateOfOneTakesAllBack},
		{"a gate of one pauses it where another can't go back", testAGateOfOnePausesItWhereAnotherCantGoBack},
		{"an abort of one gives all up", testAnAbortOfOneGivesAllUp},
		{"all begin or none", testAllBeginOrNone},
		{"who is paused is waited for", testWhoIsPausedIsWaitedFor},
		{"a flip that fails stops all", testAFlipThatFailsStopsAll},
	} {
		t.Run(test.says, func(t *testing.T) { test.run(t, m) })
	}
}

var sessions = [2]string{"session", "session"}

func testNoneFlipsBeforeAllCould(t *testing.T, m *month) {
	p := m.pair(t, [2]string{"session", "instant"}, "bake: 10m, hooks: {flip: [{exec: [/x]}]}")
	p.resolve(p.a, true)
	p.players(3)
	plan, err := p.PlanRelease(t.Context(), api.ReleasesRequest{Service: p.a.name})
	must(t, err)
	if what := "; with --group " + p.name + " in one step with " + p.b.name + ", when all could"; !strings.HasSuffix(plan.Steps[1].What, what) {
		t.Errorf("the plan says %q, want %q behind it", plan.Steps[1].What, what)
	}
	res, err := p.say(api.ReleaseStart)
	must(t, err)
	if len(res.Releases) != 2 || res.Releases[0].Service != p.a.name || res.Releases[1].Group != p.name {
		t.Errorf("%+v", res)
	}
	waits := "its group is not ready: " + p.b.name + ": candidate: 0 of 2 ipv4 backends"
	if r := p.a.mustBe(func(r api.Release) bool { return strings.HasPrefix(r.Waits, waits) }, waits); r.State != string(release.Verifying) {
		t.Errorf("%+v", r)
	}
	p.a.later(time.Minute)
	p.b.mustCome(release.Failed, 0)
	waits = "its group is not ready: " + p.b.name + ": release 1 is failed while verifying: candidate: "
	p.a.mustBe(func(r api.Release) bool { return strings.HasPrefix(r.Waits, waits) }, waits)
	p.mustLive(1)
	p.resolve(p.b, true)
	_, err = p.say(api.ReleaseResume)
	must(t, err)
	p.mustCome(release.Baking, 3)
	p.mustLive(2)
	p.a.mustRun("flip")
	p.b.mustRun("flip")
	p.Controller.mu.Lock()
	defer p.Controller.mu.Unlock()
	if want := map[string]uint32{p.a.name: 2, p.b.name: 2}; !maps.Equal(p.state.GroupFlip, want) {
		t.Errorf("the flip was of %v, want %v", p.state.GroupFlip, want)
	}
	p.mustAgree(t)
}

// baking is a pair whose releases have flipped.
func (m *month) baking(t *testing.T, strategies [2]string, text string) *pairOf {
	t.Helper()
	p := m.pair(t, strategies, text)
	p.resolve(p.a, true)
	p.resolve(p.b, true)
	p.players(2)
	_, err := p.say(api.ReleaseStart)
	must(t, err)
	p.mustCome(release.Baking, 2)
	p.mustLive(2)
	return p
}

func testAWordToOneTakesAllBack(t *testing.T, m *month) {
	p := m.baking(t, [2]string{"instant", "session"}, "bake: 10m, hooks: {rollback: [{exec: [/x]}]}")
	_, err := p.Rollback(t.Context(), api.RollbackRequest{Service: p.b.name, Alone: true})
	mustRefuse(t, err, api.Refused, "release 1 goes back together with its group "+p.name+": leave --alone out, or part it by a flip: ebbtide flip "+p.b.name+" --to blue --alone")
	_, err = p.Lock(t.Context(), api.LockRequest{Service: p.a.name, ForSeconds: 3600, Act: api.Act{Reason: "a tournament"}})
	must(t, err)
	_, err = p.Rollback(t.Context(), api.RollbackRequest{Service: p.b.name})
	mustRefuse(t, err, api.Refused, "service "+p.a.name+": locked by")
	remote := api.WithCaller(t.Context(), api.Caller{Name: "chat", Via: api.ByToken, Services: []string{p.b.name}})
	_, err = p.Release(remote, api.ReleaseRequest{Service: p.b.name, Do: api.ReleaseRollback})
	mustRefuse(t, err, api.Forbidden, "release 1 of "+p.b.name+" ends together with that of "+p.a.name)
	p.mustLive(2)
	must(t, p.Unlock(t.Context(), api.UnlockRequest{Service: p.a.name}))
	res, err := p.Rollback(t.Context(), api.RollbackRequest{Service: p.b.name})
	must(t, err)
	if res.Service != p.b.name || !res.Changed || res.Live.Number != 1 || res.NewOnOld != 0 {
		t.Errorf("%+v", res)
	}
	p.mustLive(1)
	p.a.mustCome(release.RolledBack, 2)
	p.b.mustCome(release.RolledBack, 2)
	p.a.mustRun("rollback")
	p.b.mustRun("rollback")
}

func testAWordToTheGroupTakesAllBackWithAProof(t *testing.T, m *month) {
	p := m.baking(t, sessions, "bake: 10m")
	p.a.later(10 * time.Minute)
	p.mustCome(release.Draining, 2)
	res, err := p.RollbackGroup(t.Context(), api.GroupRollbackRequest{Group: p.name})
	must(t, err)
	if len(res.Members) != 2 || res.ApartNanos <= 0 {
		t.Errorf("%+v", res)
	}
	for _, member := range res.Members {
		if !member.Changed || member.Live.Number != 1 || member.NewOnOld != 0 {
			t.Errorf("%+v", member)
		}
	}
	p.mustLive(1)
	p.mustCome(release.RolledBack, 2)
	_, err = p.say(api.ReleaseRollback)
	mustRefuse(t, err, api.NotFound, "group "+p.name+": no release of it is under way")
}

func testAGateOfOneTakesAllBack(t *testing.T, m *month) {
	p := m.pair(t, sessions, "bake: 10m")
	p.a.gateNames("early")
	p.resolve(p.a, true)
	p.resolve(p.b, true)
	p.players(2)
	_, err := p.say(api.ReleaseStart)
	must(t, err)
	p.a.watchGate(release.Pending, release.ByRollback)
	p.mustCome(release.Baking, 2)
	p.a.later(10 * time.Minute)
	p.b.mustCome(release.Draining, 2)
	p.a.watchGate(release.Fail, release.ByRollback)
	p.mustCome(release.RolledBack, 2)
	p.mustLive(1)
	if r := p.b.mustCome(release.RolledBack, 2); r.Group != p.name {
		t.Errorf("%+v", r)
	}
}

func testAGateOfOnePausesItWhereAnotherCantGoBack(t *testing.T, m *month) {
	p := m.pair(t, sessions, "bake: 10m")
	p.a.gateNames("early")
	p.resolve(p.a, true)
	p.resolve(p.b, true)
	_, err := p.say(api.ReleaseStart)
	must(t, err)
	p.a.watchGate(release.Pending, release.ByRollback)
	p.mustCome(release.Baking, 0)
	p.a.later(10 * time.Minute)
	p.b.mustCome(release.Done, 0)
	const why = "it goes back together with its group, and "
	_, err = p.Rollback(t.Context(), api.RollbackRequest{Service: p.a.name})
	mustRefuse(t, err, api.Refused, "service "+p.a.name+": release 1 is baking: "+why+p.b.name+": release 1 is done")
	_, err = p.RollbackGroup(t.Context(), api.GroupRollbackRequest{Group: p.name})
	mustRefuse(t, err, api.Refused, why+p.b.name+": release 1 is done")
	p.a.watchGate(release.Fail, release.ByRollback)
	r := p.a.mustCome(release.Paused, 0)
	if want := "; it can't roll back: " + why + p.b.name + ": release 1 is done"; !strings.HasSuffix(r.Why, want) {
		t.Errorf("%q, want %q", r.Why, want)
	}
	p.mustLive(2)
}

func testAnAbortOfOneGivesAllUp(t *testing.T, m *month) {
	p := m.pair(t, sessions, "bake: 10m, hooks: {abort: [{exec: [/x]}]}")
	p.resolve(p.a, true)
	p.resolve(p.b, false)
	_, err := p.say(api.ReleaseStart)
	must(t, err)
	p.a.mustBe(func(r api.Release) bool { return strings.HasPrefix(r.Waits, "its group is not ready: "+p.b.name) }, "waits")
	_, err = p.a.say(api.ReleaseAbort)
	must(t, err)
	p.mustCome(release.Aborted, 0)
	p.a.mustRun("abort")
	p.b.mustRun("abort")
	p.mustLive(1)
	_, err = p.say(api.ReleaseStart) // and another may begin
	must(t, err)
	_, err = p.say(api.ReleaseAbort)
	must(t, err)
	p.mustCome(release.Aborted, 0)
}

func testAllBeginOrNone(t *testing.T, m *month) {
	p := m.pair(t, [2]string{"session", "canary"}, "bake: 10m")
	none := func(code api.Code, says string) {
		t.Helper()
		_, err := p.say(api.ReleaseStart)
		mustRefuse(t, err, code, says)
		p.Controller.mu.Lock()
		defer p.Controller.mu.Unlock()
		for _, of := range []*afternoon{p.a, p.b} {
			if r, _ := p.releaseOf(of.name, 1); r.Group != nil {
				t.Errorf("%s: %+v", says, r)
			}
		}
	}
	none(api.Refused, "service "+p.b.name+": its strategy is canary, and only services of the strategies session and instant flip in one step")
	p.Controller.mu.Lock()
	at := slices.IndexFunc(p.cfg.Services, func(s config.Service) bool { return s.Name == p.b.name })
	p.cfg.Services[at].Strategy = config.Strategy("session")
	p.Controller.mu.Unlock()
	_, err := p.Lock(t.Context(), api.LockRequest{Service: p.b.name, ForSeconds: 3600, Act: api.Act{Reason: "a tournament"}})
	must(t, err)
	none(api.Refused, "service "+p.b.name+": locked by")
	must(t, p.Unlock(t.Context(), api.UnlockRequest{Service: p.b.name}))
	_, err = p.a.say(api.ReleaseStart)
	mustRefuse(t, err, api.Refused, "it flips together with its group: use ebbtide release --group "+p.name+", or give --alone")
	_, err = p.Release(t.Context(), api.ReleaseRequest{Service: p.b.name, Do: api.ReleaseStart, Alone: true})
	must(t, err)
	none(api.Refused, "service "+p.b.name+": release 1 of it is verifying: it has to have baked")
	_, err = p.b.say(api.ReleaseAbort)
	must(t, err)
	_, err = p.ReleaseGroup(t.Context(), api.GroupReleaseRequest{Group: "none", Do: api.ReleaseStart})
	mustRefuse(t, err, api.NotFound, "group none: no service is in it")
	_, err = p.Flip(t.Context(), api.FlipRequest{Service: p.a.name, Alone: true, Force: true})
	must(t, err)
	_, err = p.say(api.ReleaseStart)
	mustRefuse(t, err, api.Refused, p.b.name+" would go to a new generation, and "+p.a.name+" back to an old one")
}

func testWhoIsPausedIsWaitedFor(t *testing.T, m *month) {
	p := m.pair(t, sessions, "bake: 10m, hooks: {verify: [{exec: [/x]}]}")
	ends := make(chan struct{})
	p.Controller.mu.Lock()
	others := p.releases.hook
	p.releases.hook = func(ctx context.Context, r release.Record, h release.Hook) error {
		if r.Service == p.a.name {
			<-ends
		}
		return others(ctx, r, h)
	}
	p.Controller.mu.Unlock()
	p.resolve(p.a, true)
	p.resolve(p.b, true)
	_, err := p.say(api.ReleaseStart)
	must(t, err)
	waits := "its group is not ready: " + p.a.name + ": the hook of verify runs"
	p.b.mustBe(func(r api.Release) bool { return r.Waits == waits }, waits)
	_, err = p.a.say(api.ReleasePause)
	must(t, err)
	close(ends)
	p.b.mustBe(func(r api.Release) bool {
		return strings.HasPrefix(r.Waits, "its group is not ready: "+p.a.name+": release 1 is paused while verifying")
	}, "waits for the paused one")
	p.mustLive(1)
	_, err = p.say(api.ReleaseResume)
	must(t, err)
	p.mustCome(release.Baking, 0)
	p.mustLive(2)
}

func testAFlipThatFailsStopsAll(t *testing.T, m *month) {
	p := m.pair(t, sessions, "bake: 10m")
	p.resolve(p.a, true)
	p.resolve(p.b, true)
	// In the very moment of the flip one has no backend left.
	broken := false
	p.Controller.mu.Lock()
	p.opt.Step = func(what string) {
		if r, _ := p.releaseOf(p.a.name, 1); what == "release: save" && !broken && r.State == release.Flipping {
			broken = true
			for id, b := range p.image.Backends {
				if b.Service == p.a.index {
					p.plane.Tables.SetHop(kernel.IPv4, id, kernel.Hop{})
				}
			}
		}
	}
	p.Controller.mu.Unlock()
	_, err := p.say(api.ReleaseStart)
	must(t, err)
	p.mustCome(release.Failed, 0)
	p.mustLive(1)
	p.Controller.mu.Lock()
	p.opt.Step = nil
	p.Controller.mu.Unlock()
	p.resolve(p.a, true)
	_, err = p.a.say(api.ReleaseResume)
	must(t, err)
	p.a.mustBe(func(r api.Release) bool {
		return strings.HasPrefix(r.Waits, "its group is not ready: "+p.b.name+": release 1 is failed while flipping")
	}, "waits for the failed one")
	p.mustLive(1)
	_, err = p.b.say(api.ReleaseResume)
	must(t, err)
	p.mustCome(release.Baking, 0)
	p.mustLive(2)
}

// A daemon may be killed anywhere: both services of a group flip, or go back, or none.
func TestAGroupsReleaseIsNeverHalfWhereverItsDaemonWasKilled(t *testing.T) {
	for name, row := range map[string]struct {
		release, word string
		points        map[string]int // how many of each: more are as the first ones, or as those of a release of one service
	}{
		"forward": {"bake: 0s", api.ReleaseStart, map[string]int{
			"release: journal": 4, "release: save": 4, "flip: journal": 2, "flip: time": 1, "flip: store": 2, "flip: barrier": 1, "flip: mark": 1,
		}},
		"back": {"bake: 10m", api.ReleaseRollback, map[string]int{"release: journal": 2, "release: save": 2, "rollback: journal": 2, "flip: store": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newUnattached(t, strings.ReplaceAll(manyServices(2, 2), "    pools:", "    group: shard\n    release: {"+row.release+"}\n    pools:"))
			must(t, c.save(c.image))
			must(t, c.putTogether("shard", "s0", "s1"))
			k := doom{t: t, c: c, word: row.word}
			writes := k.writes()
			points := map[string]int{}
			for n, what := range writes {
				if points[what] < row.points[what] {
					k.at(n)
					points[what]++
				}
			}
			if !maps.Equal(points, row.points) {
				t.Errorf("it was killed before %v, want %v", points, row.points)
			}
		})
	}
}

// doom is a group whose daemons are killed while its releases do what a word says.
type doom struct {
	t    *testing.T
	c    *Controller
	word string
}

// ready brings the group to where the word means something.
func (k *doom) ready() {
	if k.c.opt.Step = nil; k.word == api.ReleaseRollback {
		must(k.t, k.c.groupWalk(k.t, api.ReleaseStart))
	}
}

// writes are those that are made when nobody is killed.
func (k *doom) writes() (writes []string) {
	k.ready()
	k.c.opt.Step = func(what string) { writes = append(writes, what) }
	must(k.t, k.c.groupWalk(k.t, k.word))
	return writes
}

// at kills a daemon before a write, and looks at what the next one makes of it.
func (k *doom) at(n int) {
	k.ready()
	seen, at := 0, ""
	k.c.opt.Step = func(what string) {
		if seen++; seen == n+1 {
			at = what
			panic(diedBefore{what})
		}
	}
	must(k.t, k.c.groupWalk(k.t, k.word))
	if at == "" {
		k.t.Fatalf("it did not come to its write %d", n)
	}
	k.c = reborn(k.t, k.c)
	k.c.mustBeWhole(k.t, at)
	must(k.t, k.c.groupWalk(k.t, ""))
	k.c.mustBeWhole(k.t, at)
	k.c.mustStandAtOne(k.t, at)
	k.c.mustAgree(k.t)
	if k.word == api.ReleaseRollback { // the next one begins where this one did
		must(k.t, k.c.groupWalk(k.t, api.ReleaseRollback))
	}
}

// groupWalk says a word to the group's releases, if any, and drives them until nothing changes, or the daemon dies.
func (c *Controller) groupWalk(t *testing.T, word string) (err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			if _, dies := r.(diedBefore); !dies {
				panic(r)
			}
		}
	}()
	if word != "" {
		_, err = c.ReleaseGroup(t.Context(), api.GroupReleaseRequest{Group: "shard", Do: word, Force: true})
		if e := (*api.Error)(nil); word == api.ReleaseRollback && errors.As(err, &e) && e.Code == api.NotFound {
			err = nil // it has gone back already
		}
	}
	for still := 0; still < 2; {
		was := c.state.Revision
		must(t, c.sweep())
		if c.advanceAll(); c.state.Revision == was {
			still++
		}
	}
	return err
}

// mustBeWhole checks that both are live in the same generation, and that their newest releases stand at the same.
func (c *Controller) mustBeWhole(t *testing.T, at string) {
	t.Helper()
	var live []uint32
	var records []release.Record
	for _, name := range []string{"s0", "s1"} {
		service, _ := c.image.ServiceNamed(name)
		live = append(live, c.image.Generations[c.plane.Tables.Steer(service).Live].Number)
		if list := c.state.Services[name].Releases; len(list) > 0 {
			records = append(records, list[len(list)-1])
		}
	}
	if live[0] != live[1] || len(records) == 1 {
		t.Fatalf("killed before %q: generations %v are live, and releases are %+v", at, live, records)
	}
	if len(records) == 2 && (len(records[0].Group.With) != 1 || records[0].Group.With[0].Number != records[1].Number) {
		t.Fatalf("killed before %q: the newest releases are not of one group: %+v", at, records)
	}
}

// mustStandAtOne checks that the newest releases have come to one state.
func (c *Controller) mustStandAtOne(t *testing.T, at string) {
	t.Helper()
	var states []release.State
	for _, name := range []string{"s0", "s1"} {
		if list := c.state.Services[name].Releases; len(list) > 0 {
			states = append(states, list[len(list)-1].State)
		}
	}
	if len(states) == 2 && states[0] != states[1] {
		t.Fatalf("killed before %q: the releases are %v", at, states)
	}
}

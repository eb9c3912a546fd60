package release

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/internal/config"
)

// band is two services of a group, their kernel, and the daemon that drives their releases.
type band struct {
	*rapid.T
	now     time.Time
	members [2]*member
	came    map[State]int // how often any of them came into a state
}

// member is one of the services.
type member struct {
	r       Record
	live    uint32
	left    uint64 // sessions of what is not live
	inPool  bool   // the old generation
	checks  []Check
	gates   []Gate
	running map[string]bool // hooks
}

func (b *band) facts(i int) Facts {
	f := b.own(i)
	o := 1 - i
	f.Group = TogetherWith(b.members[i].r, []Peer{{b.members[o].r, b.own(o)}}, b.now)
	return f
}

func (b *band) own(i int) Facts {
	m := b.members[i]
	from, to := Standing{State: Live, InPool: m.inPool, Left: m.left}, Standing{State: Candidate, InPool: true}
	if m.live == 2 {
		from.State, to.State = Drains, Live
		if m.left == 0 {
			from.State = Drained
		}
	}
	f := Facts{Live: m.live, From: from, To: to, Gates: m.gates}
	if m.r.State == Verifying {
		f.Checks = m.checks
	}
	return f
}

// input is one step of one release, which is on disk when it is made.
func (b *band) input(i int, in Input) {
	m := b.members[i]
	was := m.r
	is, transition, err := Step(was, in, b.facts(i), b.now)
	if refusal := (*Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		b.Fatal(err)
	}
	text, err := json.Marshal(is)
	if err != nil {
		b.Fatal(err)
	}
	m.r = Record{}
	if err := json.Unmarshal(text, &m.r); err != nil {
		b.Fatal(err)
	}
	if transition == nil {
		return
	}
	b.came[m.r.State]++
	if o := b.members[1-i]; transition.From == Verifying && m.r.State == Flipping && (!m.checks[0].OK || o.r.State != Flipping && !o.checks[0].OK) {
		b.Fatalf("%s comes to its flip with the checks %+v and %+v", m.r.Service, m.checks, o.checks)
	}
}

// settle lets the daemon's loop look at one release. Whether it is killed behind a step shows no difference: what is next, the
// record and the kernel say.
func (b *band) settle(i int) {
	m := b.members[i]
	for range 20 {
		was := m.r.Turn
		b.input(i, Input{Event: Goes})
		if m.r.Turn == was || rapid.IntRange(0, 9).Draw(b.T, "killed") == 0 {
			break
		}
	}
	for _, a := range Due(m.r, b.facts(i)) {
		switch a.Kind {
		case RunHook:
			m.running[a.Hook.Key] = true
		case Flip:
			b.flip(i)
		case Evict:
		default:
			b.Fatalf("%s does %+v", m.r.Service, a)
		}
	}
}

// flip is one step of all that go with a release.
func (b *band) flip(i int) {
	m, o := b.members[i], b.members[1-i]
	going := []*member{m}
	if GoesWith(m.r, Peer{o.r, b.own(1 - i)}) {
		going = append(going, o)
	}
	if rapid.IntRange(0, 9).Draw(b.T, "flip fails") == 0 {
		for _, g := range going {
			b.input(b.at(g), Input{Event: ActFailed, Why: "no"})
		}
		return
	}
	for _, g := range going {
		switch {
		case g.r.State == Flipping:
			g.live = 2
		case !g.inPool:
			b.Fatalf("%s goes back to a generation that is in no pool", g.r.Service)
		default:
			g.live = 1
		}
	}
}

func (b *band) at(m *member) int {
	if m == b.members[0] {
		return 0
	}
	return 1
}

// check is what must hold whatever happened: both are live in the same generation, or the one that stays could not go back.
func (b *band) check() {
	x, y := b.members[0], b.members[1]
	if x.live == y.live {
		return
	}
	stays := x
	if y.live == 2 {
		stays = y
	}
	if stays.inPool && !in(stays.r.In(), Retiring, Promoting, Done) {
		b.Fatalf("generations %d and %d are live: %s is %s, and could go back; the other is %s and %s", x.live, y.live,
			stays.r.Service, stays.r.State, x.r.State, y.r.State)
	}
}

// comesToAnEnd lets everything go well from now on: both releases end, and none waits for the other for ever.
func (b *band) comesToAnEnd() {
	for round := range 60 {
		b.now = b.now.Add(10 * time.Minute)
		for i, m := range b.members {
			m.checks[0].OK, m.left = true, 0
			m.gates = []Gate{{Name: "ops", Verdict: Pass, OnFail: ByRollback}}
			if m.r.Stop != nil {
				b.input(i, Input{Event: Resume})
			}
			b.settle(i)
			b.hookEnds(i, false)
			b.check()
		}
		if b.members[0].r.State.Over() && b.members[1].r.State.Over() {
			return
		}
		if round == 59 {
			b.Fatalf("they don't come to an end: %s waits %q, %s waits %q", b.members[0].r.State, Waits(b.members[0].r, b.facts(0), b.now),
				b.members[1].r.State, Waits(b.members[1].r, b.facts(1), b.now))
		}
	}
}

func (b *band) hookEnds(i int, mayFail bool) {
	m := b.members[i]
	for _, h := range m.r.Pending {
		if m.running[h.Key] {
			delete(m.running, h.Key)
			end := HookDone
			if mayFail && rapid.IntRange(0, 3).Draw(b.T, "fails") == 0 {
				end = HookFailed
			}
			b.input(i, Input{Event: end, Key: h.Key})
			return
		}
	}
}

func newBand(t *rapid.T, came map[State]int) *band {
	b := &band{T: t, now: noon, came: came}
	for i, name := range []string{"chat", "world"} {
		p := Plan{
			Strategy: rapid.SampledFrom(atOnce).Draw(t, "strategy"), Bake: time.Minute, Migrate: Migrate{2, time.Second},
			Hooks: rapid.SliceOfDistinct(rapid.SampledFrom(hookNames), rapid.ID).Draw(t, "hooks"), Gates: []config.Gate{{Name: "ops"}},
		}
		r := New(uint32(i+1), name, p, Generation{Number: 1}, Generation{Number: 2}, "ops", "", noon)
		r.Group = &Group{Name: "shard", With: []Member{{[]string{"world", "chat"}[i], uint32(2 - i)}}}
		b.members[i] = &member{r: r, live: 1, left: 3, inPool: true, checks: []Check{{Name: "candidate"}}, running: map[string]bool{}}
	}
	for i := range b.members {
		b.input(i, Input{Event: Start})
	}
	return b
}

func TestAGroupFlipsAndGoesBackAsOneWhateverHappens(t *testing.T) {
	came := map[State]int{}
	missing := func() []State {
		all := []State{Verifying, Flipping, Baking, Draining, Retiring, Done, Paused, Failed, RollingBack, RolledBack, Aborting, Aborted}
		return slices.DeleteFunc(all, func(s State) bool { return came[s] > 0 })
	}
	check := func(t *rapid.T) {
		b := newBand(t, came)
		draws := func(do func(i int)) func(*rapid.T) {
			return func(t *rapid.T) {
				b.T = t
				do(rapid.IntRange(0, 1).Draw(t, "member"))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"":       draws(func(int) { b.check() }),
			"settle": draws(b.settle),
			"time":   draws(func(i int) { b.now = b.now.Add(time.Minute); b.settle(i) }),
			"checks": draws(func(i int) { b.members[i].checks[0].OK = rapid.IntRange(0, 3).Draw(b.T, "ok") > 0 }),
			"gates": draws(func(i int) {
				b.members[i].gates = []Gate{{Name: "ops", Verdict: rapid.SampledFrom([]Verdict{Pass, Pass, Fail, Pending}).Draw(b.T, "verdict"),
					OnFail: rapid.SampledFrom([]Policy{ByRollback, ByPause}).Draw(b.T, "policy")}}
			}),
			"hook ends": draws(func(i int) { b.hookEnds(i, true) }),
			"players":   draws(func(i int) { b.members[i].left -= min(b.members[i].left, 1) }),
			"staged": draws(func(i int) { // a next version takes the old colour
				if m := b.members[i]; m.live == 2 && !m.r.Front() && m.r.State != RollingBack {
					m.inPool = false
				}
			}),
			"word": draws(func(i int) {
				if rapid.IntRange(0, 3).Draw(b.T, "bother") == 0 {
					b.input(i, Input{Event: rapid.SampledFrom([]Event{Pause, Resume, Abort, Rollback}).Draw(b.T, "word")})
				}
			}),
		})
		b.T = t
		b.comesToAnEnd()
	}
	for range 50 { // the rarest state is come to in some of many checks
		if rapid.Check(t, check); t.Failed() || len(missing()) == 0 {
			break
		}
	}
	for _, s := range missing() {
		t.Errorf("none was ever %s: the steps don't get far: %v", s, came)
	}
}

// together are facts of a release that has a group, and of the other in it.
func together(s State, edit func(r, other *Record, f, others *Facts)) (Record, Facts) {
	r, o := at(s, Session), at(s, Session)
	r.Group, o.Group = &Group{"shard", []Member{{"lobby", 3}}}, &Group{"shard", []Member{{"world", 7}}}
	o.Service, o.Number = "lobby", 3
	f, others := kind(r), kind(o)
	f.Checks, others.Checks = []Check{{Name: "candidate", OK: true}}, []Check{{Name: "candidate", OK: true}}
	edit(&r, &o, &f, &others)
	f.Group = TogetherWith(r, []Peer{{o, others}}, noon.Add(time.Minute))
	return r, f
}

func TestWhatTheOthersOfAGroupMeanForARelease(t *testing.T) {
	stop := func(s State, in State) func(r, o *Record, f, others *Facts) {
		return func(_, o *Record, _, _ *Facts) { o.Stop, o.State, o.Why = &Stop{in, noon}, s, "why not" }
	}
	is := func(s State) func(r, o *Record, f, others *Facts) {
		return func(_, o *Record, _, _ *Facts) { o.State = s }
	}
	for _, row := range []struct {
		name  string
		state State
		edit  func(r, other *Record, f, others *Facts)
		want  State
		waits string
	}{
		{"all are ready", Verifying, func(_, _ *Record, _, _ *Facts) {}, Flipping, ""},
		{"one is at its flip", Verifying, is(Flipping), Flipping, ""},
		{"one has flipped by hand", Verifying, func(_, o *Record, _, others *Facts) { o.State, o.Flipped, others.Live = Baking, noon, 2 }, Flipping, ""},
		{"a check of one fails", Verifying, func(_, _ *Record, _, others *Facts) { others.Checks[0] = Check{Name: "candidate", Detail: "0 of 2"} }, Verifying,
			"its group is not ready: lobby: candidate: 0 of 2"},
		{"one is forced", Verifying, func(_, o *Record, _, others *Facts) { others.Checks[0].OK, o.Forced = false, true }, Flipping, ""},
		{"a hook of one runs", Verifying, func(_, o *Record, _, _ *Facts) { o.Pending = []Hook{{"k", "verify", false}} }, Verifying,
			"its group is not ready: lobby: the hook of verify runs"},
		{"one is locked", Verifying, func(_, _ *Record, _, others *Facts) { others.Held = "locked by ops" }, Verifying, "its group is not ready: lobby: locked by ops"},
		{"one is paused", Verifying, stop(Paused, Verifying), Verifying, "its group is not ready: lobby: release 3 is paused while verifying: why not"},
		{"one is gone", Verifying, is(""), Verifying, "its group is not ready: lobby: its release 3 is gone"},
		{"one was given up", Verifying, is(Aborted), Aborting, ""},
		{"one goes back before it flips", Flipping, is(RollingBack), Aborting, ""},
		{"one is not at its flip yet", Flipping, is(Verifying), Flipping, "its group is not ready: lobby: release 3 is verifying"},
		{"one goes back", Baking, is(RollingBack), RollingBack, ""},
		{"one goes back while it is paused", Paused, func(r, o *Record, f, others *Facts) {
			r.Stop, r.Flipped, o.Stop, o.State, o.Flipped = &Stop{Draining, noon}, noon, nil, RollingBack, noon
			*f, *others = kind(*r), kind(*o)
		}, RollingBack, ""},
		{"one goes back and it can't", Draining, func(_, o *Record, f, _ *Facts) { o.State, f.From.InPool = RollingBack, false }, Draining, "3 sessions are left on generation 1"},
		{"one has gone back by hand", Draining, is(RolledBack), Draining, "3 sessions are left on generation 1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, f := together(row.state, row.edit)
			got, _, err := Step(r, Input{}, f, noon.Add(time.Second))
			if err != nil || got.State != row.want {
				t.Errorf("it is %s, %v, want %s", got.State, err, row.want)
			}
			if why := Waits(got, f, noon.Add(time.Second)); got.State == row.state && why != row.waits {
				t.Errorf("it waits because %q, want %q", why, row.waits)
			}
		})
	}
}

func TestAGroupFlipsOnlyWhenAllStandThere(t *testing.T) {
	for state, back := range map[State]bool{Flipping: false, RollingBack: true} {
		for with, flips := range map[State]bool{state: true, Verifying: false, Baking: !back, Failed: false} {
			r, f := together(Baking, func(r, o *Record, f, others *Facts) {
				r.State, o.State = state, with
				if with == Failed {
					o.Stop = &Stop{state, noon}
				}
				if !back {
					r.Flipped, f.Live = time.Time{}, 1
				}
				if !back && with != Baking {
					o.Flipped, others.Live = time.Time{}, 1
				}
			})
			if with == Verifying && back {
				continue // it had flipped
			}
			if acts := Due(r, f); (len(acts) == 1 && acts[0].Kind == Flip) != flips {
				t.Errorf("%s, while the other is %s: %+v, want a flip: %t", state, with, acts, flips)
			}
		}
	}
}

func TestAGroupGoesBackOnlyWhereAllCan(t *testing.T) {
	for _, row := range []struct {
		name string
		edit func(o *Record, others *Facts)
		want string
	}{
		{"all can", func(*Record, *Facts) {}, ""},
		{"one has gone back", func(o *Record, _ *Facts) { o.State = RolledBack }, ""},
		{"one has left the file", func(_ *Record, others *Facts) { others.Live, others.From.InPool = 0, false }, ""},
		{"one is done", func(o *Record, _ *Facts) { o.State = Done }, "lobby: release 3 is done"},
		{"one retires", func(o *Record, _ *Facts) { o.State = Retiring }, "lobby: generation 1 is empty and its backends are being released: stage its version again, or flip to it by hand where they are still there"},
		{"one has left its pool", func(_ *Record, others *Facts) { others.From.InPool = false }, "lobby: generation 1 has left its pool: stage its version again"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, f := together(Draining, func(_, o *Record, _, others *Facts) { row.edit(o, others) })
			got, _, err := Step(r, Input{Event: Rollback, By: "ops"}, f, noon)
			switch {
			case row.want == "":
				if err != nil || got.State != RollingBack {
					t.Errorf("it is %s, %v", got.State, err)
				}
			case err == nil || err.Error() != "release 7 is draining: it goes back together with its group, and "+row.want:
				t.Errorf("%v, want %s", err, row.want)
			}
		})
	}
}

// Who waits long, for others or for a lock, is not failed by a check that fails for a moment, nor by an answer that is not there yet.
func TestAReleaseThatWaitsHasItsTimeFromWhenACheckFails(t *testing.T) {
	good, bad, asked := Check{Name: "candidate", OK: true}, Check{Name: "candidate"}, Check{Name: "probe", Asking: true}
	waits, waiting := together(Verifying, func(_, _ *Record, f, others *Facts) { f.Checks[0].OK, others.Checks[0].OK = true, false })
	for _, row := range []struct {
		name string
		r    Record
		f    Facts
	}{
		{"for its group", waits, waiting},
		{"for a lock", at(Verifying, Session), Facts{Held: "locked"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, f, now := row.r, row.f, noon.Add(time.Hour)
			step := func(is Check, after time.Duration, want State) {
				t.Helper()
				now = now.Add(after)
				f.Checks = []Check{is}
				r, _, _ = Step(r, Input{}, f, now)
				if r.State != want {
					t.Fatalf("it is %s, want %s", r.State, want)
				}
			}
			step(bad, 0, Verifying)
			step(good, verifyFor, Verifying)
			step(bad, verifyFor, Verifying)
			step(asked, 0, Verifying)
			step(asked, time.Hour, Verifying)
			step(bad, time.Second, Verifying)
			step(bad, verifyFor-time.Second, Verifying)
			step(bad, time.Second, Failed)
		})
	}
}

func TestARecordOfOneServiceSaysNothingOfGroups(t *testing.T) {
	r, _, err := Step(at(Verifying, Session), Input{}, Facts{Checks: []Check{{Name: "candidate"}}}, noon)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	if v, there := keys["group"]; there {
		t.Errorf("it has a group: %v", v)
	}
}

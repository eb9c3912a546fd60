package release

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbtide/ebbtide/internal/config"
)

// generation is one in the world that releases are tried in.
type generation struct {
	life           Life
	inPool         bool
	left, unmarked uint64
}

// world is a kernel, a clock and hooks, and the daemon that drives releases in them. Steer is one word, as in the kernel.
type world struct {
	*rapid.T
	now      time.Time
	live     uint32
	share    uint16
	held     string
	gens     map[uint32]*generation
	next     uint32
	gates    []Gate
	checks   []Check
	resting  Resting
	releases []Record          // in memory
	disk     map[uint32][]byte // as saved
	running  map[string]Hook   // hooks that run in this daemon
	hooks    map[string]string // what each key that was ever run is of
	through  map[string]bool   // keys whose end is on disk
	told     map[uint32]bool   // releases whose notice's hook has succeeded
	entered  map[string]int    // transitions into a state, by release and state
	byHand   bool              // somebody flipped past the releases
}

func (w *world) facts(r Record) Facts {
	return Facts{
		Live: w.live, From: w.standing(r.From.Number), To: w.standing(r.To.Number), Share: w.share, Held: w.held, Other: Other(w.releases, r.Number),
		Checks: w.checks, Gates: w.gates, Resting: w.resting,
	}
}

func (w *world) standing(number uint32) Standing {
	g := w.gens[number]
	if g == nil {
		return Standing{}
	}
	return Standing{State: g.life, InPool: g.inPool, Left: g.left, Unmarked: g.unmarked}
}

// save writes a record to the disk, before anything that follows from it is done.
func (w *world) save(i int, r Record) {
	text, err := json.Marshal(r)
	if err != nil {
		w.Fatal(err)
	}
	w.disk[r.Number] = text
	w.releases[i] = r
}

// input is one step of one release, and what must hold after it.
func (w *world) input(i int, in Input) {
	before := w.releases[i]
	after, transition, err := Step(before, in, w.facts(before), w.now)
	if refusal := (*Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		w.Fatalf("%v", err)
	}
	if transition != nil {
		w.entered[fmt.Sprintf("%d/%s", after.Number, transition.To)]++
		if onward := transition.To == Emptying || transition.To == Opening; onward && transition.From == Baking {
			for _, g := range w.gates {
				if g.Verdict != Pass && g.OnFail != ByTelling {
					w.Fatalf("release %d goes on to %s though gate %s says %s", after.Number, transition.To, g.Name, g.Verdict)
				}
			}
		}
		if after.State == Retiring {
			if g := w.gens[after.From.Number]; g != nil && g.left > 0 {
				w.Fatalf("release %d retires generation %d with %d sessions", after.Number, after.From.Number, g.left)
			}
		}
	}
	for _, h := range before.Pending { // what is off the list is through for good, when it is on disk
		if in.Event == HookDone && h.Key == in.Key {
			w.through[h.Key] = true
			if h.Transition == "notice" {
				w.told[before.Number] = true
			}
		}
	}
	w.save(i, after)
}

// settle lets a daemon's loop run, which may be killed before any of its acts.
func (w *world) settle() {
	for i := range w.releases {
		for range 50 {
			was := w.releases[i].State
			w.input(i, Input{Event: Goes})
			if w.releases[i].State == was {
				break
			}
		}
		for _, a := range Due(w.releases[i], w.facts(w.releases[i])) {
			if w.act(i, a) {
				return
			}
		}
	}
}

// act does one thing, or fails at it, or the daemon is killed.
func (w *world) act(i int, a Act) (killed bool) {
	r := w.releases[i]
	fate := rapid.SampledFrom([]string{"done", "done", "done", "done", "done", "done", "done", "done", "failed", "killed before", "killed after"}).Draw(w.T, "fate of "+string(a.Kind))
	if fate == "killed before" {
		w.crash()
		return true
	}
	if fate == "failed" && a.Kind != RunHook {
		w.input(i, Input{Event: ActFailed, Why: "no"})
		return false
	}
	switch a.Kind {
	case RunHook:
		w.run(r, a.Hook)
	case Flip:
		w.flip(a.Generation)
	case SetShare:
		w.share = a.Share
	case Evict:
		w.evict(r, a)
	case Close:
		w.resting = Resting{Closed: true}
	case Rest:
		w.resting = Resting{Backends: a.Backends}
	case Open:
		w.resting = Resting{}
	}
	if fate == "killed after" {
		w.crash()
		return true
	}
	return false
}

// run begins a hook, unless it runs.
func (w *world) run(r Record, h Hook) {
	if _, runs := w.running[h.Key]; runs {
		return
	}
	if w.through[h.Key] {
		w.Fatalf("hook %s runs again, though its end is on disk", h.Key)
	}
	what := fmt.Sprintf("%d %s", r.Number, h.Transition)
	if of, known := w.hooks[h.Key]; known && of != what {
		w.Fatalf("the key %s is of %s and of %s", h.Key, of, what)
	}
	if !strings.HasPrefix(h.Key, fmt.Sprintf("world/%d/%s", r.Number, h.Transition)) {
		w.Fatalf("the key %s says nothing of %s", h.Key, what)
	}
	w.hooks[h.Key], w.running[h.Key] = what, h
}

func (w *world) flip(to uint32) {
	g := w.gens[to]
	if g == nil || !g.inPool {
		w.Fatalf("a flip to generation %d, which is in no pool", to)
	}
	if w.live == to {
		return
	}
	w.gens[w.live].life = Drains
	w.live, g.life, g.unmarked, w.share = to, Live, g.left, 0
}

func (w *world) evict(r Record, a Act) {
	if a.Generation == w.live && r.Plan.Strategy != InPlace {
		w.Fatalf("release %d moves the sessions of generation %d, which is live", r.Number, a.Generation)
	}
	if r.Plan.Notice != nil && !w.told[r.Number] && in(r.Plan.Strategy, Session, Canary) {
		w.Fatalf("release %d moves sessions, and nobody was told", r.Number)
	}
	g := w.gens[a.Generation]
	if g == nil {
		return
	}
	n := g.unmarked
	if a.Batch > 0 {
		n = min(n, uint64(a.Batch))
	}
	g.unmarked -= n
}

// crash leaves what is on disk and in the kernel.
func (w *world) crash() {
	for i, r := range w.releases {
		w.releases[i] = Record{}
		if err := json.Unmarshal(w.disk[r.Number], &w.releases[i]); err != nil {
			w.Fatal(err)
		}
	}
	w.running = map[string]Hook{}
}

// stage puts a new generation on the idle colour.
func (w *world) stage() uint32 {
	for n, g := range w.gens {
		if n == w.live || !g.inPool {
			continue
		}
		if MayStage(w.releases, n) != nil {
			return 0
		}
		g.inPool = false
		if g.life == Candidate {
			g.life = Drains
		}
	}
	w.next++
	w.gens[w.next] = &generation{life: Candidate, inPool: true}
	w.share = 0
	return w.next
}

func (w *world) begin() {
	if len(w.releases) >= 4 || MayBegin(w.releases) != nil {
		return
	}
	p := drawPlan(w.T)
	from := Generation{Number: w.live}
	to := from
	if p.Strategy.Flips() {
		if to = (Generation{Number: w.stage()}); to.Number == 0 {
			return
		}
	}
	r := New(uint32(len(w.releases)+1), "world", p, from, to, "ops", "", w.now)
	if !p.Strategy.Flips() {
		r.Backends = []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(w.T, "backends")]
	}
	w.releases = append(w.releases, r)
	w.save(len(w.releases)-1, r)
	w.input(len(w.releases)-1, Input{Event: Start})
}

func drawPlan(t *rapid.T) Plan {
	p := Plan{
		Strategy: rapid.SampledFrom(Strategies()).Draw(t, "strategy"), Migrate: Migrate{2, time.Second}, Batch: 1,
		Bake: time.Minute, Hooks: rapid.SliceOfDistinct(rapid.SampledFrom(hookNames), rapid.ID).Draw(t, "hooks"),
		Window: rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "window"),
	}
	p.Deadline = rapid.SampledFrom([]time.Duration{0, 2 * time.Hour}).Draw(t, "deadline")
	if p.Strategy == Canary {
		p.Steps = []Share{{500, time.Minute}, {2500, time.Minute}}
	}
	if rapid.Bool().Draw(t, "gated") {
		p.Gates = []config.Gate{{Name: "ops", Approval: "ops"}}
	}
	if in(p.Strategy, Session, Canary) && rapid.Bool().Draw(t, "notice") {
		p.Hooks = append(slices.DeleteFunc(p.Hooks, func(h string) bool { return h == "notice" }), "notice")
		p.Notice = &Notice{At: []NoticeAt{{Sessions: 3}, {Percent: 90}, {Before: 10 * time.Minute}}, Every: 20 * time.Minute}
	}
	return p
}

var hookNames = []string{
	"verify", "flip", "bake", "drain", "notice", "migrate", "update", "retire", "promote", "backup", "clone", "stage", "pause",
	"resume", "abort", "rollback",
}

// check is what must hold whatever happened.
func (w *world) check() {
	front := 0
	for _, r := range w.releases {
		if r.Front() {
			front++
		}
		if r.State == Baking && r.Plan.Strategy.Flips() && !w.byHand && w.live != r.To.Number && w.live != r.From.Number {
			w.Fatalf("release %d bakes generation %d while %d is live", r.Number, r.To.Number, w.live)
		}
		g := w.gens[r.From.Number]
		if in(r.In(), Retiring, Promoting) && r.Plan.Strategy.Flips() && g != nil && w.live != r.From.Number && g.left > 0 && !w.byHand {
			w.Fatalf("release %d is %s, and generation %d has %d sessions", r.Number, r.State, r.From.Number, g.left)
		}
	}
	if front > 1 {
		w.Fatalf("%d releases may change who is live", front)
	}
	for at, n := range w.entered {
		if number, ok := strings.CutSuffix(at, "/"+string(Noticing)); ok && w.toldKeys(number) > n {
			w.Fatalf("release %s has run %d notices in %d noticing", number, w.toldKeys(number), n)
		}
	}
}

func (w *world) toldKeys(number string) (n int) {
	for _, of := range w.hooks {
		if of == number+" notice" {
			n++
		}
	}
	return n
}

func TestNoSequenceOfWordsFactsCrashesAndClocksBreaksAPromise(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // so many that each state is come to
		if err := f.Value.Set("700"); err != nil {
			t.Fatal(err)
		}
	}
	entered := map[State]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			T: t, now: noon, live: 1, next: 1, gens: map[uint32]*generation{1: {life: Live, inPool: true, left: 5, unmarked: 5}},
			disk: map[uint32][]byte{}, running: map[string]Hook{}, hooks: map[string]string{}, through: map[string]bool{},
			told: map[uint32]bool{}, entered: map[string]int{}, checks: []Check{{Name: "backends", OK: true}},
		}
		w.begin()
		t.Repeat(w.happenings())
		for at := range w.entered {
			_, state, _ := strings.Cut(at, "/")
			entered[State(state)]++
		}
	})
	for _, s := range States() {
		if entered[s] == 0 && s != Staged {
			t.Errorf("no release was ever %s: the steps don't get far: %v", s, entered)
		}
	}
}

// happenings are what a test strings together in any order; the nameless one comes after each.
func (w *world) happenings() map[string]func(*rapid.T) {
	draws := func(do func()) func(*rapid.T) { // each happening draws from a T of its own
		return func(t *rapid.T) {
			w.T = t
			do()
		}
	}
	return map[string]func(*rapid.T){
		"":       draws(w.check),
		"begin":  draws(w.begin),
		"settle": draws(w.settle),
		"time":   draws(func() { w.now = w.now.Add(time.Minute); w.settle() }),
		"jump": draws(func() {
			w.now = w.now.Add(time.Duration(rapid.Int64Range(-int64(3*time.Hour), int64(3*time.Hour)).Draw(w.T, "jump")))
		}),
		"crash":     draws(w.crash),
		"verb":      draws(w.verb),
		"hook ends": draws(func() { w.hookEnds(w.pick(), true) }),
		"an hour":   draws(w.anHour),
		"gates": draws(func() {
			w.gates = []Gate{{
				Name: "ops", Approval: true, Verdict: rapid.SampledFrom([]Verdict{Pass, Pass, Fail, Pending, Unknown}).Draw(w.T, "verdict"),
				OnFail: rapid.SampledFrom([]Policy{ByRollback, ByPause, ByTelling}).Draw(w.T, "policy"),
			}}
		}),
		"checks":  draws(func() { w.checks[0].OK = rapid.Bool().Draw(w.T, "ok") }),
		"held":    draws(func() { w.held = rapid.SampledFrom([]string{"", "locked"}).Draw(w.T, "held") }),
		"by hand": draws(w.flipByHand),
		"players": draws(w.players),
		"reboot":  draws(w.reboot),
	}
}

// pick says which release something happens to.
func (w *world) pick() int {
	if len(w.releases) == 0 {
		w.Skip("no release")
	}
	return rapid.IntRange(0, len(w.releases)-1).Draw(w.T, "release")
}

// verb is somebody's word, and rarer than the rest, so that releases get somewhere.
func (w *world) verb() {
	if rapid.IntRange(0, 3).Draw(w.T, "bother") > 0 {
		return
	}
	w.input(w.pick(), Input{Event: rapid.SampledFrom(Verbs()).Draw(w.T, "verb"), Gate: "ops"})
}

// anHour is one in which everything goes well.
func (w *world) anHour() {
	for range 6 {
		w.now = w.now.Add(10 * time.Minute)
		w.players()
		w.settle()
		for i := range w.releases {
			w.hookEnds(i, false)
		}
		w.settle()
	}
}

// flipByHand is an operator who goes past the releases.
func (w *world) flipByHand() {
	for _, n := range slices.Sorted(maps.Keys(w.gens)) {
		if g := w.gens[n]; g.inPool && n != w.live && rapid.IntRange(0, 9).Draw(w.T, "flip") == 0 {
			w.byHand = true
			w.flip(n)
			return
		}
	}
}

// hookEnds ends one that runs.
func (w *world) hookEnds(i int, mayFail bool) {
	for _, h := range w.releases[i].Pending {
		if _, runs := w.running[h.Key]; runs {
			delete(w.running, h.Key)
			end := HookDone
			if mayFail && rapid.Bool().Draw(w.T, "fails") {
				end = HookFailed
			}
			w.input(i, Input{Event: end, Key: h.Key})
			return
		}
	}
}

// players come to what is live, and go from everywhere.
func (w *world) players() {
	if g := w.gens[w.live]; !w.resting.Closed {
		n := rapid.Uint64Range(0, 2).Draw(w.T, "come")
		g.left, g.unmarked = g.left+n, g.unmarked+n
	}
	for _, n := range slices.Sorted(maps.Keys(w.gens)) {
		g := w.gens[n]
		gone := min(g.left, rapid.Uint64Range(0, 5).Draw(w.T, "go"))
		g.left -= gone
		g.unmarked = min(g.unmarked, g.left)
		if n != w.live && g.left == 0 && g.life == Drains {
			g.life = Drained
		}
	}
	if resting(Facts{Resting: w.resting}) {
		w.resting.Left, w.resting.Counted = rapid.Uint64Range(0, 1).Draw(w.T, "left"), true
	}
}

// reboot takes every flow away, and what the daemon had told the data plane of backends.
func (w *world) reboot() {
	for n, g := range w.gens {
		g.left, g.unmarked = 0, 0
		switch {
		case n == w.live:
		case g.inPool:
			g.life = Candidate
		default:
			delete(w.gens, n)
		}
	}
	w.share, w.resting = 0, Resting{}
	w.crash()
}

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/journal"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// killed is what a daemon panics with where it is killed.
type killed string

// hooked is a controller of a journal in a directory, whose hooks only say that they ran, and which is killed at the given
// step; 0: never. Closing the journal is the kernel's.
func hooked(t *testing.T, dir string, at int, ran func(config.Hook, hook.Call) hook.Result) *Controller {
	t.Helper()
	events, err := journal.Open(dir, time.Now)
	must(t, err)
	t.Cleanup(func() { events.Close() })
	log := slog.New(slog.DiscardHandler)
	c := &Controller{opt: Options{Now: time.Now, Logger: log, Journal: events}, log: log, image: image.New()}
	c.conclude()
	n := 0
	c.opt.Step = func(what string) {
		if n++; n == at {
			panic(killed(what))
		}
	}
	c.hooks.run = func(_ context.Context, h config.Hook, call hook.Call) hook.Result { return ran(h, call) }
	return c
}

// untilKilled says where f was killed; nowhere: it came to its end.
func untilKilled(f func()) (where killed) {
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if where, ok = r.(killed); !ok {
				panic(r)
			}
		}
	}()
	f()
	return ""
}

func flipHooks() (hooks []config.Hook, call hook.Call) {
	return []config.Hook{{Exec: []string{"/a"}}, {Exec: []string{"/b"}}, {Exec: []string{"/c"}}},
		hook.Call{Key: "world/3/flip", Transition: "flip", Service: "world", Release: 3}
}

func keysOf(hooks []config.Hook, call hook.Call) (keys []string) {
	for _, h := range hooks {
		keys = append(keys, keyOfHook(call.Key, h, map[string]int{}))
	}
	return keys
}

// A daemon that is killed anywhere leaves to the next one what it needs: each hook runs, and none again that is known to
// have succeeded; whoever sees one twice sees the same key.
func TestKilledAtAnyStepEachHookRunsAndNoneAgainThatIsDone(t *testing.T) {
	hooks, call := flipHooks()
	keys := keysOf(hooks, call)
	var points []killed
	for at := 1; ; at++ {
		dir := t.TempDir()
		var seen []string
		note := func(h config.Hook, call hook.Call) hook.Result {
			seen = append(seen, h.Exec[0]+" "+call.Key)
			return hook.Result{Attempts: 1}
		}
		where := untilKilled(func() {
			must(t, hooked(t, dir, at, note).runHooks(t.Context(), hooks, call))
		})
		doneBefore := hooksDone(t, dir)
		before := len(seen)
		c := hooked(t, dir, 0, note)
		must(t, c.runHooks(t.Context(), hooks, call))
		for i, h := range hooks {
			key := keys[i]
			if !slices.Contains(seen, h.Exec[0]+" "+key) {
				t.Errorf("killed before %q: %s never ran", where, h)
			}
			if again := slices.Contains(seen[before:], h.Exec[0]+" "+key); again == slices.Contains(doneBefore, key) {
				t.Errorf("killed before %q: done were %q, the next daemon ran %q", where, doneBefore, seen[before:])
			}
		}
		if len(seen) > len(hooks)+1 {
			t.Errorf("killed before %q: more than one ran twice: %q", where, seen)
		}
		if left := c.opt.Journal.Unfinished(); len(left) > 0 || len(hooksDone(t, dir)) != len(hooks) {
			t.Errorf("killed before %q: unfinished %+v, done %q", where, left, hooksDone(t, dir))
		}
		if where == "" {
			break
		}
		points = append(points, where)
	}
	if want := slices.Repeat([]killed{"hook: journal", "hook: run", "hook: journal, end"}, 3); !slices.Equal(points, want) {
		t.Errorf("killed before %q, want %q", points, want)
	}
}

// hooksDone are the keys of those that a journal says succeeded.
func hooksDone(t *testing.T, dir string) (keys []string) {
	t.Helper()
	for _, e := range hookEvents(t, dir) {
		var came hookCame
		if e.Stage == journal.Done {
			must(t, json.Unmarshal(e.After, &came))
			keys = append(keys, came.Key)
		}
	}
	return keys
}

func hookEvents(t *testing.T, dir string) (events []journal.Event) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, journal.FileName))
	must(t, err)
	defer f.Close()
	_, err = journal.Verify(f, func(e journal.Event) error {
		if e.Act == actHook {
			events = append(events, e)
		}
		return nil
	})
	must(t, err)
	return events
}

func TestAHookThatFailsEndsItsTransitionAndRunsAgainWhenThatIsResumed(t *testing.T) {
	hooks, call := flipHooks()
	broken := true
	var seen []string
	dir := t.TempDir()
	c := hooked(t, dir, 0, func(h config.Hook, call hook.Call) hook.Result {
		seen = append(seen, h.Exec[0])
		if h.Exec[0] == "/b" && broken {
			return hook.Result{Attempts: 4, ExitCode: 3, Output: "no room", Took: 2 * time.Second, Err: errors.New("exit code 3")}
		}
		return hook.Result{Attempts: 1, Output: "well", Took: time.Second}
	})
	if err := c.runHooks(t.Context(), hooks, call); err == nil || err.Error() != "exit code 3" {
		t.Errorf("got %v", err)
	}
	broken = false
	must(t, c.runHooks(t.Context(), hooks, call))
	must(t, c.runHooks(t.Context(), hooks, call))
	if want := []string{"/a", "/b", "/b", "/c"}; !slices.Equal(seen, want) {
		t.Errorf("there ran %q, want %q", seen, want)
	}
	var told []string
	for _, e := range hookEvents(t, dir) {
		told = append(told, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Stage, e.Reason, e.After)))
	}
	is := func(i int, name string) string {
		return fmt.Sprintf(`"key":%q,"hook":"/%s","transition":"flip","release":3`, keysOf(hooks, call)[i-1], name)
	}
	well := `,"attempts":1,"exit_code":0,"output":"well","seconds":1}`
	want := []string{
		"begun flip of release 3: /a {" + is(1, "a") + "}", "done  {" + is(1, "a") + well,
		"begun flip of release 3: /b {" + is(2, "b") + "}", "failed exit code 3 {" + is(2, "b") + `,"attempts":4,"exit_code":3,"output":"no room","seconds":2}`,
		"begun flip of release 3: /b {" + is(2, "b") + "}", "done  {" + is(2, "b") + well,
		"begun flip of release 3: /c {" + is(3, "c") + "}", "done  {" + is(3, "c") + well,
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("the journal says\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

// A reload that gives hooks other places, while one of them has run and another has failed, makes none run twice and none be
// left out. Two that do the same are two.
func TestAReloadMayGiveHooksOtherPlacesInTheMiddleOfATransition(t *testing.T) {
	hooks, call := flipHooks()
	twin := config.Hook{Webhook: config.Webhook{URL: "http://127.0.0.1:1/a"}}
	hooks = append(hooks, twin, twin)
	broken := true
	var seen []string
	c := hooked(t, t.TempDir(), 0, func(h config.Hook, call hook.Call) hook.Result {
		if h.String() == "/c" && broken {
			return hook.Result{Attempts: 1, Err: errors.New("exit code 1")}
		}
		seen = append(seen, h.String())
		return hook.Result{Attempts: 1}
	})
	if err := c.runHooks(t.Context(), hooks, call); err == nil {
		t.Fatal("it failed nobody")
	}
	broken = false
	late := config.Hook{Exec: []string{"/late", "a", "b"}}
	other := config.Hook{Exec: []string{"/late", "a b"}}
	moved := []config.Hook{hooks[2], late, hooks[1], twin, hooks[0], other, twin}
	must(t, c.runHooks(t.Context(), moved, call))
	must(t, c.runHooks(t.Context(), hooks, call))
	if want := []string{"/a", "/b", "/c", "/late", twin.String(), "/late", twin.String()}; !slices.Equal(seen, want) {
		t.Errorf("there ran %q, want %q", seen, want)
	}
}

func TestAHookDoesNotRunThatTheJournalCanNotHave(t *testing.T) {
	hooks, call := flipHooks()
	c := hooked(t, t.TempDir(), 0, func(config.Hook, hook.Call) hook.Result {
		t.Error("it ran")
		return hook.Result{}
	})
	hooks[0].Exec[0] = "/" + strings.Repeat("x", 2<<20) // longer than a line of the journal
	if err := c.runHooks(t.Context(), hooks, call); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v", err)
	}
}

func TestHooksOfOtherReleasesAreTheirOwn(t *testing.T) {
	hooks, call := flipHooks()
	runs := 0
	c := hooked(t, t.TempDir(), 0, func(config.Hook, hook.Call) hook.Result {
		runs++
		return hook.Result{Attempts: 1}
	})
	for release := uint32(1); release <= 2*releasesKept; release++ {
		call.Release, call.Key = release, fmt.Sprintf("world/%d/flip", release)
		must(t, c.runHooks(t.Context(), hooks[:1], call))
		must(t, c.runHooks(t.Context(), hooks[:1], call))
	}
	if kept := len(c.hooks.done["world"]); runs != 2*releasesKept || kept != releasesKept {
		t.Errorf("%d ran for %d releases, %d of them are remembered", runs, 2*releasesKept, kept)
	}
}

// Of the listing's flows the half-open and the expired ones are nobody's whom one could tell.
func TestANoticeNamesThoseWhoAreLeftOnceEach(t *testing.T) {
	const flows, batch = 1000, 64
	l := newListing(t, flows, flows)
	walk := func(yield func(api.Flow) error) error {
		return l.walk(t.Context(), api.FlowFilter{Service: "world"}, yield)
	}
	seen := map[string]bool{}
	var sizes []int
	must(t, leftInBatches(walk, batch, func(left []hook.Left) error {
		sizes = append(sizes, len(left))
		for _, f := range left {
			if seen[f.Client] || f.Protocol != "tcp" || f.Backend == "" || f.Client == "" {
				t.Errorf("%+v", f)
			}
			seen[f.Client] = true
		}
		return nil
	}))
	const want = flows/2 - flows/100
	if wantSizes := append(slices.Repeat([]int{batch}, want/batch), want%batch); len(seen) != want || !slices.Equal(sizes, wantSizes) {
		t.Errorf("%d are named, by %v; want %d, by %v", len(seen), sizes, want, wantSizes)
	}
	stop := errors.New("no more")
	calls := 0
	if err := leftInBatches(walk, batch, func([]hook.Left) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("a failure ends it with %v after %d calls", err, calls)
	}
	if err := leftInBatches(func(func(api.Flow) error) error { return nil }, batch, func([]hook.Left) error { return stop }); err != nil {
		t.Errorf("of nobody a hook was told: %v", err)
	}
}

func TestABatchHasTheKeyOfItsFlows(t *testing.T) {
	a := hook.Left{Client: "198.51.100.7:40000", Protocol: "udp", Port: 7777, Backend: "10.0.0.11", AgeSeconds: 5}
	older, other, moved := a, a, a
	older.AgeSeconds, older.IdleSeconds = 50, 4
	other.Client, moved.Backend = "198.51.100.8:40000", "10.0.0.12"
	first := digestOf([]hook.Left{a})
	if digestOf([]hook.Left{older}) != first {
		t.Error("with age another key")
	}
	for _, left := range [][]hook.Left{{other}, {moved}, {a, other}} {
		if digestOf(left) == first {
			t.Errorf("%+v has the key of %+v", left, a)
		}
	}
}

// The whole way: what is left is read from the tables, and a second notice with the same key tells nobody twice.
func TestANoticeGoesThroughTheJournal(t *testing.T) {
	c := newUnattached(t, manyServices(1, 2))
	var told []hook.Call
	c.hooks.run = func(_ context.Context, _ config.Hook, call hook.Call) hook.Result {
		told = append(told, call)
		return hook.Result{Attempts: 1}
	}
	now, err := c.plane.Now()
	must(t, err)
	const flows = 5
	mapstest.Fill4(t, c.plane.Tables, 4096, flows, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, 1, now) })
	call := hook.Call{Key: "s0/1/notice/1", Transition: "notice", Service: "s0", Release: 1, From: api.GenerationRef{Number: 1}}
	hooks := []config.Hook{{Exec: []string{"/say"}}}
	must(t, c.notify(t.Context(), hooks, call, 2))
	must(t, c.notify(t.Context(), hooks, call, 2))
	named := 0
	for _, call := range told {
		named += len(call.Left)
		if !strings.HasPrefix(call.Key, "s0/1/notice/1/") || call.Key != keyOfHook(call.Key[:strings.LastIndexByte(call.Key, '/')], hooks[0], map[string]int{}) {
			t.Errorf("the key %s", call.Key)
		}
	}
	if len(told) != 3 || named != flows {
		t.Errorf("%d calls name %d flows: %+v", len(told), named, told)
	}
}

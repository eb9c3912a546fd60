package web

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/web"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// visit is an evening at the page: each step begins where the one before has ended.
type visit struct {
	*stage
	*browser
	at web.Access
}

func TestThePageShowsTheTideAndTurnsIt(t *testing.T) {
	s := mustStage(t)
	v := &visit{s, mustBrowse(t, s.lab.LB), s.access(t)}
	for _, step := range []struct {
		name string
		take func(*testing.T)
	}{
		{"another's page gets nothing", v.hostile},
		{"without the token there is a question for it, and nothing else", v.login},
		{"it shows who plays where", v.shows},
		{"a flip by the keyboard alone breaks nobody", v.flips},
		{"the tide is drawn, and what is left", v.tide},
		{"it can be used by everybody, in the dark and on a phone", v.usable},
		{"a release goes on, stops and tells those who are left", v.releases},
		{"a rollback breaks nobody", v.rollsBack},
		{"those who are left are moved, and the dialog says how many", v.migrates},
		{"a group flips as one", v.group},
		{"it outlives the daemon", v.outlives},
		{"it asked nobody else, and complained about nothing", v.quiet},
		{"a reload moves it, and takes it away", v.moves},
	} {
		if !t.Run(step.name, step.take) {
			v.shot(t, "failed.png", true)
			t.FailNow() // the next step would begin elsewhere
		}
	}
}

// shot makes a picture: for the docs when they are to be written anew, else for nobody.
func (v *visit) shot(t *testing.T, name string, full bool) {
	t.Helper()
	dir := t.TempDir()
	if name == "failed.png" {
		dir = os.TempDir()
	} else if *update {
		dir = "../../docs/web"
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	v.do(t, "shot", map[string]any{"path": path, "full": full})
	if info, err := os.Stat(path); err != nil || info.Size() < 10_000 {
		t.Errorf("the picture %s: %v, %v", name, info, err)
	}
}

func (v *visit) open(t *testing.T, args map[string]any) {
	t.Helper()
	args["url"] = v.at.URL()
	if status := play[int](t, v.browser, "open", args); status != 200 {
		t.Fatalf("the page: %d", status)
	}
	v.until(t, ".live", "live")
}

func (v *visit) hostile(t *testing.T) {
	got := play[struct {
		Tries         []string
		Flips         []int
		Framed        bool
		Rebound, Read int
	}](t, v.browser, "hostile", map[string]any{"target": "http://" + v.at.Address, "token": v.at.Token})
	t.Logf("%+v", got)
	if got.Framed || got.Rebound != 403 || got.Read != 403 {
		t.Errorf("framed %t; by another name %d and %d, want 403", got.Framed, got.Rebound, got.Read)
	}
	if len(got.Flips) == 0 || slices.ContainsFunc(got.Flips, func(status int) bool { return status < 400 }) {
		t.Errorf("its flips were answered %v, want to be refused each", got.Flips)
	}
	if st := v.service(t, "world"); st.Live.Colour != "blue" {
		t.Errorf("another's page has flipped: %+v is live", st.Live)
	}
}

func (v *visit) login(t *testing.T) {
	if status := play[int](t, v.browser, "open", map[string]any{"url": "http://" + v.at.Address + "/"}); status != 200 {
		t.Fatalf("the page: %d", status)
	}
	v.until(t, "form", "ebbtide web")
	v.mustPass(t, "the question for the token")
	if text := play[[]string](t, v.browser, "text", map[string]any{"at": "body"}); strings.Contains(text[0], "world") {
		t.Errorf("it shows a service without the token: %q", text)
	}
}

func (v *visit) shows(t *testing.T) {
	mustBeOn(t, v.come(t, v.fleet, 16, "world", 0), "blue")
	mustBeOn(t, v.come(t, v.fleet, 3, "arena", 0), "blue")
	v.open(t, map[string]any{})
	if at := play[string](t, v.browser, "address", nil); strings.Contains(at, v.at.Token) {
		t.Errorf("the token stays in the address: %s", at)
	}
	v.do(t, "choose", map[string]any{"service": "world"})
	v.until(t, "h1", "world")
	v.until(t, "#generations tbody tr:nth-child(1) td:nth-child(6)", "32") // TCP and UDP of each
	v.until(t, "nav", "blue live, 6 sessions")
	v.until(t, "#backends", v.lab.Backends[0].V4.String())
	v.until(t, "#release", "A release would go by the strategy session")
	if got := play[[]string](t, v.browser, "buttons", nil); !slices.Equal(got, []string{"Release…", "Flip…"}) {
		t.Errorf("it offers %q", got)
	}
}

func (v *visit) flips(t *testing.T) {
	v.do(t, "press", map[string]any{"button": "Flip…"})
	v.do(t, "escape", nil)
	if st := v.service(t, "world"); st.Live.Colour != "blue" {
		t.Fatalf("a flip that was not confirmed was made: %+v", st.Live)
	}
	v.do(t, "press", map[string]any{"button": "Flip…"})
	says := play[string](t, v.browser, "confirm", map[string]any{"button": "Flip", "reason": "the evening's release"})
	for _, want := range []string{"new sessions go to generation 2 (green, version 2.0)", "32 sessions on generation 1 (blue, version 1.9) stay", "Nobody is cut"} {
		if !strings.Contains(says, want) {
			t.Errorf("the dialog lacks %q:\n%s", want, says)
		}
	}
	v.until(t, ".said", "generation 2 (green, version 2.0) is live. New sessions on generation 1 (blue, version 1.9) since: 0. Left there: 32 sessions.")
	mustBeOn(t, v.come(t, v.fleet, 10, "world", 8), "green")
	v.mustBeWhole(t)
	v.until(t, "#generations tbody tr:nth-child(2) td:nth-child(6)", "20")
	v.until(t, "#journal", "the evening's release")
	v.mustBeInJournal(t, "flip", "the evening's release")
}

// mustBeInJournal looks for what the page did, by the one whose browser it was.
func (v *visit) mustBeInJournal(t *testing.T, act, reason string) {
	t.Helper()
	found := false
	err := v.host.Client.History(t.Context(), api.HistoryRequest{Act: act}, func(e journal.Event) error {
		found = found || e.Reason == reason && e.Actor.User == "root" && !e.Actor.Daemon
		return nil
	})
	if err != nil || !found {
		t.Errorf("the journal has no %s because of %q by root: %v", act, reason, err)
	}
}

func (v *visit) tide(t *testing.T) {
	v.until(t, "#drain", "32 sessions left on generation 1")
	for range 3 {
		v.fleet.Logout(4)
		v.come(t, v.fleet, 2, "world", 8)
	}
	v.until(t, "#drain", "8 sessions left on generation 1") // four players of blue
	lab.Eventually(t, "the daemon to count them, too", func() bool { return v.left(t, "world", 1) == 8 })
	v.until(t, "#drain", "Half are older than")
	for _, colour := range []string{"blue", "green"} {
		if n := play[int](t, v.browser, "drawn", map[string]any{"colour": colour}); n < 500 {
			t.Errorf("the chart has %d pixels of %s", n, colour)
		}
	}
	v.mustBeWhole(t)
	v.shot(t, "tide.png", false)
}

func (v *visit) usable(t *testing.T) {
	v.mustPass(t, "the page in the light")
	v.do(t, "press", map[string]any{"button": "Migrate…"})
	v.mustPass(t, aDialog)
	v.shot(t, "dialog.png", false)
	v.do(t, "escape", nil)
	for _, look := range []struct {
		name  string
		args  map[string]any
		shows bool
	}{
		{"dark", map[string]any{"scheme": "dark"}, true},
		{"phone", map[string]any{"width": 375, "height": 800}, true},
		{"small phone in the dark", map[string]any{"width": 320, "height": 640, "scheme": "dark"}, false},
	} {
		v.open(t, look.args)
		v.do(t, "choose", map[string]any{"service": "world"})
		v.until(t, "#drain", "sessions left on generation 1")
		v.until(t, ".u-legend", "blue")
		v.mustPass(t, look.name)
		if n := play[int](t, v.browser, "wider", nil); n > 0 {
			t.Errorf("%s: the page is %d pixels wider than its window", look.name, n)
		}
		if look.shows {
			v.shot(t, look.name+".png", false)
		}
	}
	v.open(t, map[string]any{})
}

func (v *visit) releases(t *testing.T) {
	v.do(t, "choose", map[string]any{"service": "arena"})
	v.until(t, "#release", "A release would go by the strategy session")
	v.do(t, "press", map[string]any{"button": "Release…"})
	says := play[string](t, v.browser, "confirm", map[string]any{"button": "Release", "reason": "arena 2.0"})
	if !strings.Contains(says, "6 sessions are on generation 1 (blue, version 1.9) now") {
		t.Errorf("the dialog says:\n%s", says)
	}
	v.until(t, "#release .now", "draining")
	v.do(t, "press", map[string]any{"button": "Pause…"})
	says = play[string](t, v.browser, "confirm", map[string]any{"button": "Pause"})
	if !strings.Contains(says, "6 sessions on generation 1 (blue, version 1.9) stay there") {
		t.Errorf("the dialog says:\n%s", says)
	}
	v.until(t, "#release strong", "paused")
	v.do(t, "press", map[string]any{"button": "Resume…"})
	v.do(t, "confirm", map[string]any{"button": "Resume"})
	v.until(t, "#release strong", "draining")
	v.do(t, "press", map[string]any{"button": "Notice…"})
	says = play[string](t, v.browser, "confirm", map[string]any{"button": "Send the notice", "reason": "it gets late"})
	if !strings.Contains(says, "for 6 sessions on generation 1 (blue, version 1.9)") || !strings.Contains(says, "Nobody is moved") {
		t.Errorf("the dialog says:\n%s", says)
	}
	lab.Eventually(t, "the hook to be told of all who are left", func() bool {
		text, err := os.ReadFile(v.told)
		return err == nil && strings.Count(string(text), `"client":`) == 6
	})
	v.until(t, "#release strong", "draining")
	v.mustBeWhole(t)
	v.shot(t, "release.png", false)
}

func (v *visit) rollsBack(t *testing.T) {
	v.do(t, "choose", map[string]any{"service": "world"})
	v.until(t, "h1", "world")
	lab.Eventually(t, "the page to know of all who play", func() bool {
		return strings.Contains(strings.Join(play[[]string](t, v.browser, "text", map[string]any{"at": "#generations tbody tr:nth-child(2)"}), " "), fmt.Sprint(v.left(t, "world", 2)))
	})
	green := v.left(t, "world", 2)
	v.do(t, "press", map[string]any{"button": "Roll back…"})
	says := play[string](t, v.browser, "confirm", map[string]any{"button": "Roll back", "reason": "a bug"})
	for _, want := range []string{"new sessions go back to generation 1 (blue, version 1.9)", fmt.Sprintf("%d sessions on generation 2 (green, version 2.0) stay", green)} {
		if !strings.Contains(says, want) {
			t.Errorf("the dialog lacks %q:\n%s", want, says)
		}
	}
	v.until(t, ".said", "generation 1 (blue, version 1.9) is live")
	mustBeOn(t, v.come(t, v.fleet, 2, "world", 0), "blue")
	v.mustBeWhole(t)
	v.mustBeInJournal(t, "rollback", "a bug")
}

// migrates moves those on green. They are out of the fleet by then but for guests who came to be moved.
func (v *visit) migrates(t *testing.T) {
	guests := game.NewFleet(v.lab.Client)
	t.Cleanup(guests.Close)
	flip := func(to string) {
		t.Helper()
		if _, err := v.host.Client.Flip(t.Context(), api.FlipRequest{Service: "world", To: to}); err != nil {
			t.Fatal(err)
		}
	}
	flip("green")
	mustBeOn(t, v.come(t, guests, 5, "world", 16), "green")
	flip("blue")
	v.fleet.Logout(len(v.fleet.Playing()) - 2) // all but the two on blue
	lab.Eventually(t, "green to hold the guests only", func() bool { return v.left(t, "world", 2) == 10 })
	v.until(t, "#generations tbody tr:nth-child(2) td:nth-child(6)", "10")
	v.until(t, "#drain", "10 sessions left on generation 2")
	v.do(t, "press", map[string]any{"button": "Migrate…"})
	says := play[string](t, v.browser, "confirm", map[string]any{
		"button": "Move 10 sessions", "reason": "some", "fields": map[string]string{"Sessions at once": "2", "Seconds between batches": "600"}, "keep": true,
	})
	v.until(t, "dialog .told", "2 of 10 are told to move")
	v.do(t, "click", map[string]any{"button": "Stop"})
	v.until(t, ".said", "Stopped. 2 of 10 are told to move")
	lab.Eventually(t, "the two to have moved, and no more", func() bool { return v.left(t, "world", 2) == 8 })
	lab.Eventually(t, "the daemon to have ended it, too", func() bool {
		ended := false
		err := v.host.Client.History(t.Context(), api.HistoryRequest{Act: "evict"}, func(e journal.Event) error {
			ended = ended || e.Stage != journal.Begun
			return nil
		})
		return err == nil && ended
	})
	v.until(t, "#drain", "8 sessions left on generation 2")
	v.do(t, "press", map[string]any{"button": "Migrate…"})
	v.do(t, "confirm", map[string]any{
		"button": "Move 8 sessions", "reason": "we close", "fields": map[string]string{"Sessions at once": "3", "Seconds between batches": "0.2"},
	})
	if !strings.Contains(says, "10 sessions of world leave generation 2 (green, version 2.0) for generation 1 (blue, version 1.9)") || !strings.Contains(says, "can't be undone") {
		t.Errorf("the dialog says:\n%s", says)
	}
	v.until(t, ".said", "8 sessions of generation 2 (green, version 2.0) were told to move")
	lab.Eventually(t, "green to be empty", func() bool { return v.left(t, "world", 2) == 0 })
	v.mustBeWhole(t) // of those who were not to be moved
	v.mustBeInJournal(t, "evict", "we close")
}

func (v *visit) outlives(t *testing.T) {
	if err := v.host.Kill(); err != nil {
		t.Fatal(err)
	}
	v.until(t, ".live", "goes on without it")
	v.mustBeWhole(t)
	v.start(t)
	if again := v.access(t); again != v.at {
		t.Errorf("another address after a restart: %s, want %s", again.Address, v.at.Address)
	}
	v.until(t, ".live.on", "live")
	v.until(t, "#generations tbody tr:nth-child(1) td:nth-child(4)", "live")
}

func (v *visit) group(t *testing.T) {
	v.do(t, "choose", map[string]any{"service": "east"})
	v.until(t, ".sub", "group shards")
	v.do(t, "press", map[string]any{"button": "Flip…"})
	says := play[string](t, v.browser, "confirm", map[string]any{"button": "Flip", "reason": "all shards"})
	for _, want := range []string{"Flip the group shards", "east: from now on", "west: from now on"} {
		if !strings.Contains(says, want) {
			t.Errorf("the dialog lacks %q:\n%s", want, says)
		}
	}
	v.until(t, ".said", "west: generation 2 (green, version 2.0) is live")
	for _, name := range []string{"east", "west"} {
		if st := v.service(t, name); st.Live.Colour != "green" {
			t.Errorf("%s: %+v is live", name, st.Live)
		}
	}
	v.do(t, "choose", map[string]any{"service": "world"})
	v.until(t, "h1", "world")
}

func (v *visit) moves(t *testing.T) {
	reload := func(head, want string) {
		t.Helper()
		if err := v.host.Configure(head + v.rest); err != nil {
			t.Fatal(err)
		}
		plan, err := v.host.Client.Reload(t.Context(), api.ReloadRequest{})
		if err != nil || len(plan.Changes) != 1 || plan.Changes[0].What != want {
			t.Errorf("the reload: %+v, %v; want %q", plan, err, want)
		}
	}
	reload("web: {listen: 127.0.0.1:8081}\n", "web page on 127.0.0.1:8081")
	lab.Eventually(t, "the page to move", func() bool {
		a, err := web.ReadAccess(v.host.Options().Socket)
		return err == nil && a.Address == "127.0.0.1:8081"
	})
	v.at = v.access(t)
	v.open(t, map[string]any{})
	reload("", "no web page on 127.0.0.1:8081 any more")
	v.until(t, ".live", "the daemon")
	lab.Eventually(t, "the token to be gone", func() bool { _, err := web.ReadAccess(v.host.Options().Socket); return errors.Is(err, fs.ErrNotExist) })
	v.mustBeWhole(t)
}

func (v *visit) quiet(t *testing.T) {
	seen := play[struct{ Origins, Faults []string }](t, v.browser, "seen", nil)
	if !slices.Equal(seen.Origins, []string{"http://" + v.at.Address}) {
		t.Errorf("it asked %q", seen.Origins)
	}
	for _, fault := range seen.Faults {
		// The browser says of each request that the daemon was away for, and of each plan that there is none of.
		if !strings.Contains(fault, "Failed to load resource") {
			t.Errorf("the page complained: %s", fault)
		}
	}
}

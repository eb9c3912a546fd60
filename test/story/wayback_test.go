package story

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// wayBack is a release that does not come to its end: something of its own fails in the middle, or somebody takes it back.
type wayBack struct {
	name, strategy, release string // of the service
	fails                   bool   // by itself; otherwise somebody says so
	at                      string // the state in which it does

	leave     bool   // those who were there leave, since the release waits for them
	during    string // the colour that takes who comes before that: "" nobody, "both" some each
	cutBefore bool   // those who were there are moved, each told
	cutDuring bool   // those who came meanwhile are
}

// Gates that are asked at URL pass, or fail at the test's word. An update leaves a server that does not answer its smoke test.
const (
	gates  = "gates: [{name: quality, webhook: {url: URL}, on_fail: rollback}]"
	breaks = "hooks: {update: [{exec: [/bin/rm, -f, FILE], retries: 0}], verify: [{exec: [/usr/bin/test, -e, FILE], retries: 0}]}"
)

var waysBack = []wayBack{
	{name: "session-gate", strategy: "session", release: "bake: 1h, " + gates, fails: true, at: "baking", during: "green"},
	{name: "session-word", strategy: "session", release: "bake: 1s, deadline: 1h", at: "draining", during: "green"},
	{name: "instant-gate", strategy: "instant", release: "bake: 1h, " + gates, fails: true, at: "baking", during: "green", cutBefore: true, cutDuring: true},
	{name: "instant-word", strategy: "instant", release: "bake: 1h", at: "baking", during: "green", cutBefore: true, cutDuring: true},
	{name: "canary-gate", strategy: "canary", release: "steps: [{share: 50%, for: 1h}], " + gates, fails: true, at: "stepping", during: "both"},
	{name: "canary-word", strategy: "canary", release: "steps: [{share: 50%, for: 1s}], bake: 1h", at: "baking", during: "green"},
	{name: "rolling-gate", strategy: "rolling", release: breaks, fails: true, at: "failed", leave: true, during: "blue"},
	{name: "rolling-word", strategy: "rolling", release: "batch: 1", at: "emptying", during: "blue"},
	{name: "in-place-gate", strategy: "in-place", release: "busy: reset, window: 2s, " + breaks, fails: true, at: "failed", cutBefore: true, cutDuring: true},
	{name: "in-place-word", strategy: "in-place", release: "busy: icmp, window: 1h", at: "emptying", cutDuring: true},
	{name: "lobby-gate", strategy: "in-place", release: "busy: pool, window: 2s, " + breaks, fails: true, at: "failed", during: "green", cutBefore: true},
	{name: "lobby-word", strategy: "in-place", release: "busy: pool, window: 1h", at: "emptying", during: "green"},
}

// endpoints of a way back: players of each are at both at once.
func (w wayBack) endpoints() []game.Endpoint {
	port := uint16(7001 + slices.IndexFunc(waysBack, func(o wayBack) bool { return o.name == w.name }))
	return []game.Endpoint{game.TCP(lab.VIP4, port), game.UDP(lab.VIP4, port)}
}

// Each strategy's release is taken back in its middle, by what fails and by somebody's word. Players' own sequence numbers
// say who was broken: nobody, or exactly those whom the strategy moves, each told at once.
func TestEachStrategysWayBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*lab.ForEver)
	defer cancel()
	s := mustTell(t)
	var at []game.Endpoint
	var chapters []func(context.Context) error
	asked := map[string]*quality{}
	for _, w := range waysBack {
		at = append(at, w.endpoints()...)
		chapters = append(chapters, func(ctx context.Context) error { return w.play(ctx, s, asked[w.name]) })
	}
	if err := s.build(ctx, lab.Options{}, at, func() string { return waysBackYAML(t, s, asked) }); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(together(ctx, chapters), s.judge()); err != nil {
		t.Error(err)
	}
}

// mustTell begins a story that ends with the test.
func mustTell(t *testing.T) *Story {
	t.Helper()
	s := &Story{out: t.Output(), begun: time.Now()}
	t.Cleanup(func() {
		if t.Failed() && s.host != nil {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// waysBackYAML is the configuration of all of them. Each has a gate, and a file that its smoke test looks for, of its own.
func waysBackYAML(t *testing.T, s *Story, asked map[string]*quality) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "interfaces: [%s]\nmax_flows: 65536\nservices:\n", strings.Join(s.lab.Interfaces(), ", "))
	for _, w := range waysBack {
		q, err := newQuality(s.lab.LB)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { q.Close() })
		asked[w.name] = q
		file := filepath.Join(s.lab.Dir, "sound-"+w.name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		release := strings.NewReplacer("URL", fmt.Sprintf("%q", q.URL()), "FILE", fmt.Sprintf("%q", file)).Replace(w.release)
		s.service(&b, w.name, w.endpoints(), "1.9", "2.0", fmt.Sprintf("\n    strategy: %s\n    release: {%s}", w.strategy, release))
	}
	return b.String()
}

// play runs the release to where it is taken back, and judges who noticed.
func (w wayBack) play(ctx context.Context, s *Story, q *quality) error {
	c := s.cast(w.name, w.endpoints())
	c.role.StateTick = 200 * time.Millisecond
	defer c.fleet.Close()
	before := c.login(ctx, 4)
	s.promise(sides(before)["blue"] == 4, w.name, "before the release players are on %v", sides(before))
	r, err := s.host.Client.Release(ctx, api.ReleaseRequest{Service: w.name, Do: api.ReleaseStart})
	if err != nil {
		return err
	}
	if w.leave {
		if _, err := s.comes(ctx, w.name, r.Number, func(r api.Release) bool { return r.State == "emptying" }); err != nil {
			return err
		}
		logout(before)
	}
	if _, err := s.comes(ctx, w.name, r.Number, func(r api.Release) bool { return r.State == w.at }); err != nil {
		return err
	}
	during := w.comeMeanwhile(ctx, c)
	if err := w.takeBack(ctx, s, q); err != nil {
		return err
	}
	if _, err := s.comes(ctx, w.name, r.Number, func(r api.Release) bool { return r.State == "rolled-back" }); err != nil {
		return err
	}
	return w.judge(ctx, c, before, during)
}

func logout(players []*game.Player) {
	var leaving sync.WaitGroup
	for _, p := range players {
		leaving.Go(func() {
			p.Exchange(2)
			p.Logout()
		})
	}
	leaving.Wait()
}

// comeMeanwhile lets newcomers in. Where each colour has its share of them, so many that both have one.
func (w wayBack) comeMeanwhile(ctx context.Context, c *cast) []*game.Player {
	players := c.login(ctx, 4)
	if w.during != "both" {
		c.s.promise(sides(players)[w.during] == 4, w.name, "those who came meanwhile are on %v, want %q", sides(players), w.during)
		return players
	}
	for on := sides(players); on["blue"] == 0 || on["green"] == 0; on = sides(players) {
		if len(players) == mostNewcomers {
			c.s.promise(false, w.name, "those who came meanwhile are on %v", on)
			break
		}
		players = append(players, c.login(ctx, 1)...)
	}
	return players
}

// mostNewcomers is how many come, each with two sessions, until chance has sent one to each of two sides: it never takes as many.
const mostNewcomers = 12

// takeBack lets the gate fail, or says the word. Where a smoke test has failed, the release stands until somebody does.
func (w wayBack) takeBack(ctx context.Context, s *Story, q *quality) error {
	if w.fails && w.at != "failed" {
		q.verdict.Store("fail")
		return nil
	}
	_, err := s.host.Client.Rollback(ctx, api.RollbackRequest{Service: w.name})
	return err
}

// judge looks who was broken, and that all who come now come home: of blue's two backends to each.
func (w wayBack) judge(ctx context.Context, c *cast, before, during []*game.Player) error {
	back := time.Now()
	met := map[string]bool{}
	for range mostNewcomers {
		after := c.login(ctx, 1)
		if on := sides(after); on["blue"] != 1 {
			c.s.promise(false, w.name, "a newcomer after it is on %v", on)
			break
		}
		for _, r := range after[0].Reports() {
			met[r.Backend] = true
		}
		logout(after)
		if len(met) == 2 {
			break
		}
	}
	c.s.promise(met["blue1"] && met["blue2"], w.name, "newcomers after it met %v", met)
	want := 0
	for _, group := range []struct {
		players []*game.Player
		cut     bool
		when    string
	}{{before, w.cutBefore, "before it"}, {during, w.cutDuring, "in its middle"}} {
		n := map[bool]int{true: len(group.players)}[group.cut]
		cut, silent := cutOff(group.players)
		c.s.promise(cut == n && silent == 0, w.name, "of %d who came %s %d were cut, %d in silence, want %d and none", len(group.players), group.when, cut, silent, n)
		want += n
	}
	totals := c.fleet.Totals()
	c.s.promise(totals.Broken == want, w.name, "%d players are broken, want %d: %q", totals.Broken, want, totals.Reasons)
	astray := c.fleet.OpenedAfter(back, &c.s.world.Log)["green"]
	c.s.promise(astray == 0, w.name, "%d sessions began on green after it", astray)
	c.s.figure(w.name, "players %d · moved, each told %d · broken otherwise %d", totals.Players, want, totals.Broken-want)
	return nil
}

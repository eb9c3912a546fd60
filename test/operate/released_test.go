package operate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// releases gives the service a strategy, and hooks that leave what they are told in files of their transitions' names.
func (s *stage) releases(t *testing.T, strategy, text string, transitions ...string) {
	t.Helper()
	var hooks []string
	for _, name := range transitions {
		hooks = append(hooks, fmt.Sprintf(`%s: [{exec: [/bin/sh, -c, "cat >> %s; echo >> %[2]s"]}]`, name, s.hookFile(name)))
	}
	yaml := strings.Replace(s.yaml(), "    pools:", fmt.Sprintf("    strategy: %s\n    release: {%s, hooks: {%s}}\n    pools:", strategy, text, strings.Join(hooks, ", ")), 1)
	s.configure(t, yaml)
	if _, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) hookFile(transition string) string {
	return filepath.Join(s.lab.Dir, "hook-"+transition)
}

// told is what the hooks of a transition were told.
func (s *stage) told(t *testing.T, transition string) (calls []hook.Call) {
	t.Helper()
	text, err := os.ReadFile(s.hookFile(transition))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var call hook.Call
		if err := json.Unmarshal(line, &call); err != nil {
			t.Fatalf("%s: %v in %s", transition, err, line)
		}
		calls = append(calls, call)
	}
	return calls
}

// mustBecome waits until the newest release is in a state.
func (s *stage) mustBecome(t *testing.T, state string) (last api.Release) {
	t.Helper()
	there := errors.New("there")
	err := s.host.Client.WatchRelease(t.Context(), api.ReleasesRequest{Service: service}, func(r api.Release) error {
		if last = r; r.State == state && (!r.Over || r.Done) {
			return there
		}
		return nil
	})
	if !errors.Is(err, there) {
		t.Fatalf("want the release %s: %v; it is %+v", state, err, last)
	}
	return last
}

// mustStay opens a TCP session that nobody but the deadline ends.
func (s *stage) mustStay(t *testing.T) *game.Session {
	t.Helper()
	stay, err := game.Open(t.Context(), s.lab.Client, netip.AddrPort{}, s.endpoints[0])
	if err == nil {
		err = stay.Ask()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stay.Reset)
	return stay
}

func TestASessionReleaseEndsWithTheLastOfTheOldSessions(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	// Who leaves in the bake, or soon after, is gone long before the deadline: his UDP session has to be silent, and a sweep to see it.
	s.releases(t, "session", "bake: 5s, deadline: 30s, notice: {at: [1 session]}", "flip", "notice", "migrate", "retire", "promote")
	player, stay := s.login(t, "blue"), s.mustStay(t)
	s.swept(t)
	s.do(t, "verify", service).mustBe(t, 0, "world: from "+blue1+" to generation 2 (green, version 2.0)\n…candidate…ok…rollback…ok…capacity…ok…table ipv4…ok…", "")
	s.do(t, "plan", "--release", service).mustBe(t, 0, "strategy session\n…1. verifying…2. flipping…3 sessions stay on generation 1\n…hook flip: /bin/sh…4. draining…", "")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: ")
	s.mustBecome(t, "baking")
	s.login(t, "green")
	player.Exchange(1)
	r := s.mustBecome(t, "draining")
	if r.AtFlip != 3 || r.Left != 3 || r.Deadline == nil {
		t.Errorf("%+v", r)
	}
	player.Logout()
	s.mustBecome(t, "migrating")
	notice := s.told(t, "notice")
	if len(notice) != 1 || notice[0].Key == "" || !slices.ContainsFunc(notice[0].Left, func(l hook.Left) bool { return l.Client == stay.Report().Client.String() }) {
		t.Errorf("the notice was %+v, want one that names %s", notice, stay.Report().Client)
	}
	lab.Eventually(t, "the one who stayed to be told to move", func() bool { return stay.Ask() != nil })
	waiter.end(t).mustBe(t, 0, "…world: release 1: draining, 3 left\n…world: release 1: done\n", "")
	for _, name := range []string{"flip", "migrate", "retire", "promote"} {
		if calls := s.told(t, name); len(calls) != 1 || calls[0].From.Number != 1 || calls[0].To.Number != 2 {
			t.Errorf("the hook of %s was told %+v", name, calls)
		}
	}
	if g := s.generation(t, 1); g.State != api.StateDrained || g.NewSinceFlip != 0 {
		t.Errorf("%+v", g)
	}
	s.mustBeWhole(t)
}

func TestWhoeverWaitsForAReleaseIsToldOfItsRollback(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.releases(t, "session", "bake: 1h", "rollback")
	s.login(t, "blue")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: ")
	s.mustBecome(t, "baking")
	s.login(t, "green")
	s.do(t, "release", "abort", service).mustBe(t, 5, "", "ebbtide: release abort world: service world: release 1 is baking: it is live: roll it back\n")
	if res := s.rollback(t); res.Live.Number != 1 || res.NewOnOld != 0 {
		t.Errorf("%+v", res)
	}
	waiter.end(t).mustBe(t, 4, "…world: release 1: rolled-back: …\n", "ebbtide: release world: release 1 is rolled-back: …\n")
	if len(s.told(t, "rollback")) != 1 {
		t.Error("the hook of the rollback was not told")
	}
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// judge is a webhook on the balancer itself, whose verdict a test chooses.
type judge struct{ verdict atomic.Value }

func (s *stage) judge(t *testing.T) (j *judge, url string) {
	t.Helper()
	ln, err := s.lab.LB.Listen("tcp", netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	j = &judge{}
	j.verdict.Store("pending")
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"verdict": %q}`, j.verdict.Load())
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return j, "http://" + ln.Addr().String() + "/"
}

func TestAGateThatFailsInTheBakeRollsBackAndBreaksNobody(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	j, url := s.judge(t)
	s.releases(t, "session", fmt.Sprintf("bake: 0s, gates: [{name: errors, webhook: {url: %q}, on_fail: rollback}]", url), "rollback")
	s.login(t, "blue")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: baking")
	s.login(t, "green")
	j.verdict.Store("fail")
	waiter.end(t).mustBe(t, 4, "…world: release 1: rolled-back: …\n", "ebbtide: release world: release 1 is rolled-back: …\n")
	s.login(t, "blue")
	if len(s.told(t, "rollback")) != 1 {
		t.Error("the hook of the rollback was not told")
	}
	s.mustBeWhole(t)
}

// The new version resets its players: the kernel's own counts take the release back, and who plays plays on.
func TestAReleaseWhosePlayersAreResetIsRolledBack(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.releases(t, "session", "bake: 1h, gates: [{kernel: resets, max: 10%, window: 1m, on_fail: rollback}]")
	player := s.login(t, "blue")
	s.do(t, "gates", service).mustBe(t, 0, "world: no release has read its gates since the daemon started\n…resets…pending…at most 10%…", "")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: baking")
	for range 30 {
		s.mustStay(t).Reset()
	}
	waiter.end(t).mustBe(t, 4, "…world: release 1: rolled-back: …\n", "ebbtide: release world: release 1 is rolled-back: …\n")
	// How many of them the gate had seen by then is chance.
	s.do(t, "gates", service).mustBe(t, 0, "world: release 1\n…resets…fail, final… resets, … sessions begun (…%)…exact Poisson, alpha 0.002\n", "")
	player.Exchange(1)
	s.login(t, "blue")
	s.mustBeWhole(t)
}

func TestAnInPlaceReleaseTellsNewcomersAndEndsNobody(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.releases(t, "in-place", "busy: reset", "update")
	player := s.login(t, "blue")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: emptying")
	if _, err := game.Open(t.Context(), s.lab.Client, netip.AddrPort{}, s.endpoints[0]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a newcomer was told %v, want that he is refused", err)
	}
	s.mustBeWhole(t)
	if len(s.told(t, "update")) != 0 {
		t.Error("backends were changed under a player")
	}
	player.Logout()
	waiter.end(t).mustBe(t, 0, "…world: release 1: done\n", "")
	if calls := s.told(t, "update"); len(calls) != 1 || !slices.Contains(calls[0].Backends, "10.77.0.11") {
		t.Errorf("the hook was told %+v", calls)
	}
	s.login(t, "blue")
	s.mustBeWhole(t)
}

func TestARollingReleaseWaitsForThePlayersOfEachBackend(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{backends: []string{"blue1", "blue2", "green1"}})
	s.releases(t, "rolling", "batch: 1", "update")
	var players []*game.Player
	for range 6 {
		players = append(players, s.login(t, "blue"))
	}
	s.swept(t)
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: emptying (1 of 2)")
	newcomer := s.login(t, "blue")
	s.mustBeWhole(t)
	for _, p := range players {
		p.Logout()
	}
	// The backends' names are in their order: the newcomer is on the second one, and zones on when the first is changed.
	waiter.says(t, "world: release 1: emptying (2 of 2)")
	if calls := s.told(t, "update"); len(calls) != 1 || len(calls[0].Backends) != 2 { // its address of each family
		t.Errorf("the hook was told %+v", calls)
	}
	s.login(t, "blue")
	s.mustBeWhole(t)
	newcomer.Logout()
	waiter.end(t).mustBe(t, 0, "…world: release 1: done\n", "")
	if calls := s.told(t, "update"); len(calls) != 2 || calls[0].Backends[0] == calls[1].Backends[0] || calls[0].Key == calls[1].Key {
		t.Errorf("the hook was told %+v", calls)
	}
	s.mustBeWhole(t)
}

// mustBe waits until the newest release is as wanted.
func (s *stage) mustBe(t *testing.T, wanted func(api.Release) bool) {
	t.Helper()
	there := errors.New("there")
	var last api.Release
	err := s.host.Client.WatchRelease(t.Context(), api.ReleasesRequest{Service: service}, func(r api.Release) error {
		if last = r; wanted(r) {
			return there
		}
		return nil
	})
	if !errors.Is(err, there) {
		t.Fatalf("%v; the release is %+v", err, last)
	}
}

// killed is a daemon that was killed, and another one in its place.
func (s *stage) killed(t *testing.T) {
	t.Helper()
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.host.AwaitHops(t)
}

// mustLogin is a newcomer who has to come to a backend.
func (s *stage) mustLogin(t *testing.T, backend string) *game.Player {
	t.Helper()
	p := s.login(t, "blue")
	for _, r := range p.Reports() {
		if r.Backend != backend {
			t.Errorf("%s %s logged in to %s, want %s", r.Network, r.Client, r.Backend, backend)
		}
	}
	return p
}

// A gate that fails after the first batch: newcomers go to what was not changed, those who came to the batch play on, and once the
// gate passes the release goes on.
func TestAGateThatFailsInARollingReleaseLetsTheBatchRest(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{backends: []string{"blue1", "blue2", "green1"}})
	j, url := s.judge(t)
	s.releases(t, "rolling", fmt.Sprintf("batch: 1, gates: [{name: errors, webhook: {url: %q}}]", url), "update")
	s.do(t, "release", service).mustBe(t, 0, "…", "")
	s.mustBe(t, func(r api.Release) bool { return r.State == "baking" && r.Step == 1 && r.Steps == 2 })
	if calls := s.told(t, "update"); len(calls) != 1 {
		t.Errorf("the hook was told %+v", calls)
	}
	var onBatch []*game.Player
	for range 4 {
		onBatch = append(onBatch, s.mustLogin(t, "blue1"))
	}
	j.verdict.Store("fail")
	s.mustBecome(t, "paused")
	s.do(t, "gates", service).mustBe(t, 0, "world: release 1\n…errors…fail, final…", "")
	s.killed(t) // which is all the same to who rests
	for range 4 {
		s.mustLogin(t, "blue2")
	}
	for _, p := range onBatch {
		p.Exchange(1)
	}
	s.mustBeWhole(t)
	j.verdict.Store("pending")
	s.do(t, "release", "resume", service).mustBe(t, 0, "…", "")
	s.mustBecome(t, "baking")
	s.killed(t)
	s.mustLogin(t, "blue1").Logout()
	j.verdict.Store("pass")
	s.mustBe(t, func(r api.Release) bool { return r.State == "emptying" && r.Step == 2 })
	s.mustBeWhole(t)
	if calls := s.told(t, "update"); len(calls) != 1 {
		t.Errorf("the second batch was changed under its players: %+v", calls)
	}
}

// A gate that fails before an in-place release opens: what the rollback's hook does is done before anybody comes in.
func TestAGateThatFailsInAnInPlaceReleasePutsItBackBeforeItOpens(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	j, url := s.judge(t)
	s.releases(t, "in-place", fmt.Sprintf("busy: reset, gates: [{name: smoke, webhook: {url: %q}, on_fail: rollback}]", url), "update", "rollback")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: baking")
	if _, err := game.Open(t.Context(), s.lab.Client, netip.AddrPort{}, s.endpoints[0]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a newcomer was told %v before the gate has passed, want that he is refused", err)
	}
	j.verdict.Store("fail")
	waiter.end(t).mustBe(t, 4, "…world: release 1: rolled-back: …\n", "ebbtide: release world: release 1 is rolled-back: …\n")
	if len(s.told(t, "update")) != 1 || len(s.told(t, "rollback")) != 1 {
		t.Error("the hooks of the update and of the rollback were not told")
	}
	s.login(t, "blue")
	s.mustBeWhole(t)
}

// An update that hangs is ended by SIGTERM when its release is aborted, what it had started too, and the journal says why.
func TestAnAbortStopsTheUpdateThatRuns(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	// Each process of it is told, in whatever order: the shell may see the end of what it waits for first.
	script := fmt.Sprintf(`trap 'echo ended by TERM; exit 1' TERM; echo begun > %s; while :; do sleep 1000 & wait; done`, s.hookFile("begun"))
	yaml := strings.Replace(s.yaml(), "    pools:", fmt.Sprintf("    strategy: in-place\n    release: {hooks: {update: [{exec: [/bin/sh, -c, %q], timeout: 1h}]}}\n    pools:", script), 1)
	s.configure(t, yaml)
	s.do(t, "reload").mustBe(t, 0, "…", "")
	waiter := s.begin(t, "release", service, "--wait")
	waiter.says(t, "world: release 1: updating")
	lab.Eventually(t, "the update to begin", func() bool { _, err := os.Stat(s.hookFile("begun")); return err == nil })
	s.do(t, "release", "abort", service).mustBe(t, 0, "…", "")
	waiter.end(t).mustBe(t, 4, "…world: release 1: aborted: …\n", "ebbtide: release world: release 1 is aborted: …\n")
	s.do(t, "history", service, "--act", "hook").mustBe(t, 0, "…release 1 is aborting…ended by TERM…", "")
	s.login(t, "blue")
	s.mustBeWhole(t)
}

func TestAStagedPoolOutlivesARestartUntilTheFileHasIt(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	file := filepath.Join(s.lab.Dir, "pool.yaml")
	if err := os.WriteFile(file, []byte("backends: [{address: [10.77.0.12, \"fd77::c\"]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const green3 = "generation 3 (green, version 2.1)"
	s.do(t, "stage", service, "--version", "1.9", "--file", file).mustBe(t, 5, "",
		"ebbtide: stage world: service world: version 1.9 is blue in the configuration file: edit it there and reload\n")
	s.do(t, "stage", service, "--version", "2.1", "--file", file).mustBe(t, 0, "world: "+green3+" is staged\n…", "")
	s.do(t, "plan").mustBe(t, 0, "no changes\n", "")
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.host.AwaitHops(t)
	s.do(t, "plan").mustBe(t, 0, "no changes\n", "")
	if res := s.flip(t); res.Live != (api.GenerationRef{Number: 3, Colour: "green", Version: "2.1"}) {
		t.Errorf("%+v is live, want %s", res.Live, green3)
	}
	s.login(t, "green")
	s.do(t, "reload").mustBe(t, 0, "…", "")
	s.configure(t, strings.Replace(s.yaml(), `"2.0"`, `"2.1"`, 1))
	s.do(t, "reload").mustBe(t, 0, "…", "")
	if live := s.service(t).Live; live.Number != 3 {
		t.Errorf("%+v is live after the file has it", live)
	}
	s.mustBeWhole(t)
}

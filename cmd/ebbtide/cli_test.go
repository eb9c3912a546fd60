package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/journal"
)

var update = flag.Bool("update", false, "write testdata and docs/cli.md anew")

// noon is when every test runs.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// row is one run of a verb, and what it prints is in testdata.
type row struct {
	name   string
	args   string
	daemon *apitest.Fake // nil: none runs
	env    func(*env)
	code   int
}

// check runs the rows of a verb against their golden files.
func check(t *testing.T, verb string, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "none")
			if r.daemon != nil {
				socket, _ = apitest.Serve(t, r.daemon)
			}
			out, code := invoke(t, socket, r.env, strings.Fields(r.args)...)
			if code != r.code {
				t.Errorf("exit code %d, want %d", code, r.code)
			}
			out = strings.ReplaceAll(out, socket, "SOCKET")
			mustMatch(t, filepath.Join("testdata", verb, strings.ReplaceAll(r.name, " ", "-")+".txt"), out)
		})
	}
}

// invoke gives a transcript of one run.
func invoke(t *testing.T, socket string, change func(*env), args ...string) (transcript string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	e := env{
		stdout: &stdout, stderr: &stderr,
		getenv: only(socketEnv, socket),
		now:    func() time.Time { return noon },
		build: func() (*debug.BuildInfo, bool) {
			return &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v0.1.0"}}, true
		},
		Daemon:   func(context.Context, DaemonOptions) error { return errors.New("not expected") },
		ProbeNet: func(context.Context, ProbeOptions) error { return errors.New("not expected") },
		Detach:   func(context.Context, string) error { return errors.New("not expected") },
	}
	if change != nil {
		change(&e)
	}
	code = run(t.Context(), e, args)
	transcript = fmt.Sprintf("$ ebbtide %s\n%s-- exit %d --\n%s", strings.Join(args, " "), stdout.String(), code, stderr.String())
	return transcript, code
}

// only is an environment with one variable.
func only(name, value string) func(string) string {
	return func(key string) string { return map[string]string{name: value}[key] }
}

func mustMatch(tb testing.TB, golden, got string) {
	tb.Helper()
	if *update {
		if err := cmp.Or(os.MkdirAll(filepath.Dir(golden), 0o755), os.WriteFile(golden, []byte(got), 0o644)); err != nil {
			tb.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		tb.Fatal(err)
	}
	if got != string(want) {
		tb.Errorf("not as in %s (write it anew with -update):\n%s", golden, got)
	}
}

func onTerminal(e *env) { e.terminal = true }

// The two generations of most tests.
var (
	blue3  = api.GenerationRef{Number: 3, Colour: "blue", Version: "1.9"}
	green4 = api.GenerationRef{Number: 4, Colour: "green", Version: "2.0"}
)

// failing is a daemon whose every verb ends with err.
func failing(err error) *apitest.Fake {
	return &apitest.Fake{
		OnStatus:   func(context.Context) (api.Status, error) { return api.Status{}, err },
		OnFlip:     func(context.Context, api.FlipRequest) (api.FlipResult, error) { return api.FlipResult{}, err },
		OnRollback: func(context.Context, api.RollbackRequest) (api.FlipResult, error) { return api.FlipResult{}, err },
		OnTesters:  func(context.Context, api.TestersRequest) (api.Testers, error) { return api.Testers{}, err },
		OnShare:    func(context.Context, api.ShareRequest) (api.Share, error) { return api.Share{}, err },
		OnEvict:    func(context.Context, api.EvictRequest, func(api.EvictProgress) error) error { return err },
		OnDrain:    func(context.Context, api.DrainRequest, func(api.DrainProgress) error) error { return err },
		OnFlows:    func(context.Context, api.FlowFilter, func(api.Flow) error) error { return err },
		OnTrace:    func(context.Context, api.TraceRequest, func(api.Traced) error) error { return err },
		OnDrops:    func(context.Context, api.DropsRequest) (api.Drops, error) { return api.Drops{}, err },
		OnPlan:     func(context.Context, api.PlanRequest) (api.Plan, error) { return api.Plan{}, err },
		OnHistory:  func(context.Context, api.HistoryRequest, func(journal.Event) error) error { return err },
		OnEvents:   func(context.Context, api.EventsRequest, func(api.Event) error) error { return err },
		OnReport:   func(context.Context, api.ReportRequest) (api.Report, error) { return api.Report{}, err },
		OnBundle: func(context.Context, api.SupportBundleRequest) (api.SupportBundle, error) {
			return api.SupportBundle{}, err
		},
		OnLock:      func(context.Context, api.LockRequest) (api.Lock, error) { return api.Lock{}, err },
		OnUnlock:    func(context.Context, api.UnlockRequest) error { return err },
		OnOccupancy: func(context.Context, api.OccupancyRequest) (api.Occupancy, error) { return api.Occupancy{}, err },
		OnClose:     func(context.Context, api.CloseRequest) (api.Closed, error) { return api.Closed{}, err },
		OnHealth:    func(context.Context, api.HealthRequest) (api.Health, error) { return api.Health{}, err },
		OnOpen:      func(context.Context, api.OpenRequest) (api.Closed, error) { return api.Closed{}, err },
		OnRehearse:  func(context.Context, api.RehearseRequest, func(api.Rehearsal) error) error { return err },
		OnRelease:   func(context.Context, api.ReleaseRequest) (api.Release, error) { return api.Release{}, err },
		OnReload:    func(context.Context, api.ReloadRequest) (api.Plan, error) { return api.Plan{}, err },
		OnDetach:    func(context.Context, api.DetachRequest) error { return err },
	}
}

func TestEveryVerbOfADaemonHasTheExitCodeOfItsError(t *testing.T) {
	verbs := []string{"status", "top", "flip world", "rollback world", "testers world", "share world", "evict world --generation 3", "drain world --wait", "flows", "drops", "support-bundle", "events", "history", "report world", "rehearse world", "unlock world", "close world", "open world", "health world 10.0.0.1 up", "plan", "reload", "detach"}
	for code, want := range map[api.Code]int{
		api.Failed: exitFailed, api.Usage: exitUsage, api.NotFound: exitUsage, api.Refused: exitRefused, api.Unavailable: exitNoDaemon,
	} {
		socket, _ := apitest.Serve(t, failing(api.Errorf(code, "because")))
		for _, verb := range verbs {
			out, got := invoke(t, socket, nil, strings.Fields(verb)...)
			if got != want || !strings.Contains(out, "\nebbtide: "+strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(verb, " --wait"), " --generation 3"), " 10.0.0.1 up")+": because\n") {
				t.Errorf("%s: exit code %d, want %d:\n%s", code, got, want, out)
			}
		}
	}
	for _, verb := range verbs[:len(verbs)-1] { // detach needs no daemon
		socket := filepath.Join(t.TempDir(), "none")
		out, got := invoke(t, socket, nil, strings.Fields(verb)...)
		if got != exitNoDaemon || !strings.Contains(out, ": no daemon listens on "+socket+"\n") {
			t.Errorf("no daemon: exit code %d:\n%s", got, out)
		}
	}
}

func TestACommandLineThatIsWrong(t *testing.T) {
	check(t, "usage", []row{
		{name: "no verb", args: "", code: exitUsage},
		{name: "unknown verb", args: "flop world", code: exitUsage},
		{name: "unknown flag", args: "flip world --now", code: exitUsage},
		{name: "no service", args: "flip", code: exitUsage},
		{name: "two services", args: "flip world lobby", code: exitUsage},
		{name: "unknown format", args: "status -o xml", code: exitUsage},
		{name: "timeout without wait", args: "flip world --timeout 5s", code: exitUsage},
		{name: "timeout of nothing", args: "flip world --wait --timeout 0s", code: exitUsage},
		{name: "negative timeout", args: "drain world --wait --timeout -1s", code: exitUsage},
		{name: "drain without wait", args: "drain world", code: exitUsage},
		{name: "generation that is no number", args: "drain world --wait --generation blue", code: exitUsage},
	})
}

func TestTheSocketFlagGoesBeforeTheEnvironment(t *testing.T) {
	socket, _ := apitest.Serve(t, &apitest.Fake{OnReload: func(context.Context, api.ReloadRequest) (api.Plan, error) { return api.Plan{}, nil }})
	if out, code := invoke(t, "/nowhere", nil, "reload", "--socket", socket); code != exitDone {
		t.Error(out)
	}
	e := env{getenv: func(string) string { return "" }}
	if got := (&cli{env: e}).socketDefault(); got != defaultSocket {
		t.Errorf("without either: %s", got)
	}
}

func TestTheShellCompletesServicesFromTheDaemon(t *testing.T) {
	socket, _ := apitest.Serve(t, &apitest.Fake{OnStatus: func(context.Context) (api.Status, error) {
		return api.Status{Services: []api.Service{{Name: "lobby"}, {Name: "world"}}}, nil
	}})
	for args, want := range map[string]string{
		"__complete flip ":          "lobby\nworld\n:4\n",
		"__complete flip world ":    ":4\n",
		"__complete flip --to ":     "blue\ngreen\n:4\n",
		"__complete flows --state ": "half-open\nyoung\nestablished\nclosing\nevicting\n:4\n",
		"__complete status -o ":     "table\njson\nyaml\n:4\n",
	} {
		out, code := invoke(t, socket, nil, strings.Split(args, " ")...)
		if code != exitDone || !strings.Contains(out, args+"\n"+want) {
			t.Errorf("want %q:\n%s", want, out)
		}
	}
	if out, code := invoke(t, "/nowhere", nil, "completion", "bash"); code != exitDone || !strings.Contains(out, "__start_ebbtide") {
		t.Errorf("completion: exit code %d, %d bytes", code, len(out))
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/control"
	"github.com/ebbtide/ebbtide/internal/journal"
)

func TestCheck(t *testing.T) {
	check(t, "check", []row{
		{name: "sound", args: "check testdata/sound.yaml"},
		{name: "sound as json", args: "check testdata/sound.yaml -o json"},
		{name: "mistakes", args: "check testdata/mistakes.yaml", code: exitFailed},
		{name: "mistakes as json", args: "check testdata/mistakes.yaml -o json", code: exitFailed},
		{name: "no file", args: "check testdata/none.yaml", code: exitFailed},
		{name: "no argument", args: "check", code: exitUsage},
	})
}

func TestPlanAndReload(t *testing.T) {
	plan := api.Plan{Changes: []api.Change{
		{What: "max_flows 1000000 becomes 2000000"},
		{Service: "world", What: "generation 5 (green, version 2.1) is staged"},
	}}
	changing := &apitest.Fake{
		OnPlan:   func(context.Context, api.PlanRequest) (api.Plan, error) { return plan, nil },
		OnReload: func(context.Context, api.ReloadRequest) (api.Plan, error) { return plan, nil },
	}
	same := failing(nil)
	check(t, "plan", []row{
		{name: "changes", args: "plan", daemon: changing},
		{name: "changes as json", args: "plan -o json", daemon: changing},
		{name: "changes as yaml", args: "plan -o yaml", daemon: changing},
		{name: "no changes", args: "plan testdata/sound.yaml", daemon: same},
		{name: "no changes as json", args: "plan -o json", daemon: same},
		{name: "no file", args: "plan testdata/none.yaml", daemon: same, code: exitFailed},
		{name: "mistakes", args: "plan", daemon: failing(errors.New("x.yaml:3: services: missing")), code: exitFailed},
	})
	check(t, "reload", []row{
		{name: "changes", args: "reload", daemon: changing},
		{name: "no changes", args: "reload", daemon: same},
		{name: "refused", args: "reload", daemon: failing(api.Errorf(api.Refused, "x.yaml:9: services.world.pools.blue.version: blue is live")), code: exitRefused},
	})
}

func TestPlanSendsTheFile(t *testing.T) {
	want, err := os.ReadFile("testdata/sound.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got api.PlanRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{OnPlan: func(_ context.Context, req api.PlanRequest) (api.Plan, error) {
		got = req
		return api.Plan{}, nil
	}})
	if out, code := invoke(t, socket, nil, "plan", "testdata/sound.yaml"); code != exitDone {
		t.Error(out)
	}
	if got.Name != "testdata/sound.yaml" || string(got.Config) != string(want) {
		t.Errorf("sent %q: %s", got.Name, got.Config)
	}
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := invoke(t, socket, nil, "plan", empty); code != exitFailed || !strings.Contains(out, "is empty") {
		t.Errorf("an empty file would be the daemon's own:\n%s", out)
	}
}

func someFlows(n int) *apitest.Fake {
	return &apitest.Fake{OnFlows: func(_ context.Context, _ api.FlowFilter, yield func(api.Flow) error) error {
		for i := range n {
			f := api.Flow{
				Service: "world", Family: "ipv4", Protocol: "tcp", Client: "198.51.100.7:40000", VIP: "203.0.113.10", Port: 7777,
				Generation: blue3, Backend: "10.0.0.11", State: "established", AgeSeconds: 3661, IdleSeconds: uint32(i),
			}
			if i%2 == 1 {
				f.Family, f.Protocol, f.Client, f.VIP = "ipv6", "udp", "[2001:db8::7]:40000", "2001:db8:1::10"
				f.Generation, f.Backend = api.GenerationRef{Number: 2, Version: "1.8"}, "fd00::11"
			}
			if err := yield(f); err != nil {
				return err
			}
		}
		return nil
	}}
}

func TestFlows(t *testing.T) {
	check(t, "flows", []row{
		{name: "of all", args: "flows", daemon: someFlows(2)},
		{name: "as json", args: "flows -o json", daemon: someFlows(2)},
		{name: "as yaml", args: "flows -o yaml", daemon: someFlows(2)},
		{name: "none", args: "flows", daemon: someFlows(0)},
		{name: "state that is none", args: "flows --state asleep", daemon: &apitest.Fake{}, code: exitUsage},
		{name: "client that is none", args: "flows --client player", daemon: &apitest.Fake{}, code: exitUsage},
	})
	socket, _ := apitest.Serve(t, someFlows(2*rowsAtOnce+1))
	if out, _ := invoke(t, socket, nil, "flows"); strings.Count(out, "world") != 2*rowsAtOnce+1 || strings.Count(out, "SERVICE") != 1 {
		t.Error("not every flow has a row, or there are more headers than one")
	}
}

func TestFlowsAsksForWhatItsFlagsSay(t *testing.T) {
	var got api.FlowFilter
	socket, _ := apitest.Serve(t, &apitest.Fake{OnFlows: func(_ context.Context, f api.FlowFilter, _ func(api.Flow) error) error {
		got = f
		return nil
	}})
	args := "flows world --client 198.51.100.0/24 --generation 3 --state half-open"
	if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone {
		t.Error(out)
	}
	if want := (api.FlowFilter{Service: "world", Client: "198.51.100.0/24", Generation: 3, State: "half-open"}); got != want {
		t.Errorf("asked for %+v", got)
	}
}

func TestDetach(t *testing.T) {
	directly := func(e *env) {
		e.Detach = func(_ context.Context, dir string) error {
			if dir != "/sys/fs/bpf/test" {
				return errors.New("nothing is pinned in " + dir)
			}
			return nil
		}
	}
	check(t, "detach", []row{
		{name: "by the daemon", args: "detach", daemon: failing(nil)},
		{name: "as json", args: "detach -o json", daemon: failing(nil)},
		{name: "directly", args: "detach --bpf-dir /sys/fs/bpf/test", env: directly},
		{name: "directly and fails", args: "detach", env: directly, code: exitFailed},
		{name: "daemon fails", args: "detach", daemon: failing(errors.New("link busy")), env: directly, code: exitFailed},
	})
}

func TestVersion(t *testing.T) {
	committed := func(e *env) {
		e.build = func() (*debug.BuildInfo, bool) {
			return &debug.BuildInfo{GoVersion: "go1.26.0", Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: "0123abcd"}, {Key: "vcs.modified", Value: "true"},
			}}, true
		}
	}
	check(t, "version", []row{
		{name: "released", args: "version"},
		{name: "committed", args: "version", env: committed},
		{name: "committed as json", args: "version -o json", env: committed},
	})
	if out, code := invoke(t, "", func(e *env) { e.build = func() (*debug.BuildInfo, bool) { return nil, false } }, "version"); code != exitDone || !strings.Contains(out, "unknown") {
		t.Error(out)
	}
}

func TestDaemon(t *testing.T) {
	var got DaemonOptions
	keep := func(err error) func(*env) {
		return func(e *env) {
			e.Daemon = func(_ context.Context, opts DaemonOptions) error {
				got = opts
				return err
			}
		}
	}
	if out, code := invoke(t, "/run/s", keep(nil), "daemon"); code != exitDone {
		t.Error(out)
	}
	want := DaemonOptions{
		Config: "/etc/ebbtide/ebbtide.yaml", StateDir: "/var/lib/ebbtide", BPFDir: "/sys/fs/bpf/ebbtide",
		Socket: "/run/s", MetricsAddr: "127.0.0.1:9595", ProbeSocket: "/run/ebbtide/probe.sock",
		Files: control.Files{Environment: "/var/lib/ebbtide/environment.md", Targets: "/var/lib/ebbtide/targets.json"},
	}
	if got != want {
		t.Errorf("by default %+v, want %+v", got, want)
	}
	args := "daemon --config c --state-dir s --bpf-dir b --socket k --socket-group g --metrics m --force --environment e --targets  --targets-port 9100 --probe-socket p"
	if out, code := invoke(t, "/run/s", keep(nil), strings.Split(args, " ")...); code != exitDone {
		t.Error(out)
	}
	want = DaemonOptions{Config: "c", Files: control.Files{Environment: "e", TargetsPort: 9100}, StateDir: "s", BPFDir: "b", Socket: "k", SocketGroup: "g", MetricsAddr: "m", ProbeSocket: "p", ForceAttach: true}
	if got != want {
		t.Errorf("from flags %+v, want %+v", got, want)
	}
	if out, code := invoke(t, "/run/s", keep(errors.New("no bpffs")), "daemon"); code != exitFailed || !strings.Contains(out, "ebbtide: daemon: no bpffs") {
		t.Error(out)
	}
}

func TestDrops(t *testing.T) {
	counted := api.Drops{IntervalSeconds: 1.002, Reasons: []api.Reason{
		{Reason: "drop_table_full", Count: 1200, RatePerSecond: 41.5, Meaning: "a packet that can't be pinned", Advice: "raise `max_flows`"},
		{Reason: "event_cas_lost", Count: 7, Meaning: "a compare-and-swap that another CPU won", Advice: "nothing"},
	}}
	var asked api.DropsRequest
	dropping := &apitest.Fake{OnDrops: func(_ context.Context, req api.DropsRequest) (api.Drops, error) {
		asked = req
		return counted, nil
	}}
	none := failing(nil)
	check(t, "drops", []row{
		{name: "counted", args: "drops", daemon: dropping},
		{name: "counted as json", args: "drops -o json", daemon: dropping},
		{name: "counted as yaml", args: "drops --all --interval 500ms -o yaml", daemon: dropping},
		{name: "nothing", args: "drops", daemon: none},
		{name: "interval of nothing", args: "drops --interval 0s", daemon: none, code: exitUsage},
		{name: "interval of an hour", args: "drops --interval 1h", daemon: none, code: exitUsage},
	})
	if want := (api.DropsRequest{IntervalSeconds: 0.5, All: true}); asked != want {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
}

func TestStatus(t *testing.T) {
	busy := &apitest.Fake{OnStatus: func(context.Context) (api.Status, error) { return busyHost(), nil }}
	fresh := &apitest.Fake{OnStatus: func(context.Context) (api.Status, error) {
		return api.Status{Version: "v0.1.0", StartedAt: noon, ConfigFile: "x.yaml"}, nil
	}}
	check(t, "status", []row{
		{name: "busy", args: "status", daemon: busy},
		{name: "busy as json", args: "status -o json", daemon: busy},
		{name: "busy as yaml", args: "status -o yaml", daemon: busy},
		{name: "fresh", args: "status", daemon: fresh},
		{name: "importing", args: "status", daemon: failing(api.Errorf(api.Unavailable, "importing the flows")), code: exitNoDaemon},
	})
}

func busyHost() api.Status {
	hop := api.NextHop{Family: "ipv4", Interface: "eth1", MAC: "02:00:00:00:00:11", State: "resolved"}
	lost := api.NextHop{Family: "ipv4", Interface: "eth1", State: "failed", Reason: "no answer"}
	canary := halfAPercent()
	return api.Status{
		Version: "v0.1.0", Revision: 12, Build: "8a1b2c3d4e5f6071", StartedAt: noon.Add(-3*time.Hour - 2*time.Minute),
		ConfigFile: "/etc/ebbtide/ebbtide.yaml", MaxFlows: 1000000, LastSweep: noon.Add(-time.Second), SweepSeconds: 0.0125,
		Upgrade: "41000 of 100000 flows imported",
		Interfaces: []api.Interface{
			{Name: "eth0", Index: 2, Mode: api.ModeNative, Attached: true},
			{Name: "eth1", Index: 3, Mode: api.ModeGeneric, Problem: "link is down"},
		},
		Tables:  []api.Table{{Family: "ipv4", Slots: 1398104, Used: 40000, Overflow: 2}, {Family: "ipv6", Slots: 1398104}},
		VIPs:    []api.VIP{{Address: "203.0.113.10", Interface: "eth0"}, {Address: "2001:db8::10"}},
		Reasons: map[string]uint64{"drop_table_full": 12, "event_unpinned": 5},
		Services: []api.Service{{
			Name: "world", Forwarding: "dsr", Live: green4, Problem: "two of its players have no shoes",
			Listeners: []api.Listener{
				{VIP: "203.0.113.10", Protocol: "tcp", Ports: "7777", Sessions: 900},
				{VIP: "2001:db8::10", Protocol: "udp", Ports: "7777-7800"},
			},
			Canary: &canary,
			Lock:   &api.Lock{Service: "world", By: "ops", Reason: "tournament", Since: noon, Until: noon.Add(4 * time.Hour)},
			Generations: []api.Generation{
				{
					GenerationRef: green4, State: api.StateLive, Since: noon.Add(-time.Hour), New: 700, Packets: 90000, Bytes: 9000000,
					Sessions: api.Sessions{HalfOpen: 1, Young: 20, Established: 600, Closing: 4, Evicting: 7, Total: 632},
					Backends: []api.Backend{
						{ID: 3, Addresses: []string{"10.0.1.11", "fd00::11"}, Weight: 1, State: api.BackendInUse, Sessions: 625, Counted: true, Packets: 80000, Bytes: 8500000, NextHops: []api.NextHop{hop},
							Occupancy: &api.Occupancy{Players: new(uint64(610)), Free: new(uint64(0)), At: new(noon.Add(-2 * time.Second)), Sessions: 620, Difference: new(int64(-10)), Full: "it holds 610 players and takes no more"}},
						{ID: 4, Addresses: []string{"10.0.1.12"}, Port: 8443, Weight: 2, State: api.BackendDraining, NextHops: []api.NextHop{lost}, Health: &api.Health{Sick: "connection refused"}, Occupancy: &api.Occupancy{Error: "no answer in 1s"}},
					},
				},
				{
					GenerationRef: blue3, State: api.StateDraining, Since: noon.Add(-time.Hour), New: 5000, Rejoined: 8, Moved: 9, Orphans: 3, ReopenedSinceFlip: 2, Reopened: 4,
					Sessions: api.Sessions{Established: 300, Lingering: 12, Total: 312},
					Backends: []api.Backend{{ID: 1, Addresses: []string{"10.0.0.11"}, Weight: 1, State: api.BackendInUse, Sessions: 300, NextHops: []api.NextHop{hop}}},
				},
				{
					GenerationRef: api.GenerationRef{Number: 2, Version: "1.8"}, State: api.StateInconclusive, Reason: "5 unpinned flows may be left until 12:30",
					Since: noon.Add(-2 * time.Hour), New: 4000, Unpinned: 5,
				},
			},
		}},
	}
}

func TestHistory(t *testing.T) {
	var asked api.HistoryRequest
	flipped := &apitest.Fake{OnHistory: func(_ context.Context, req api.HistoryRequest, yield func(journal.Event) error) error {
		asked = req
		ops := journal.Actor{User: "ops", UID: 1000, PID: 77}
		for _, e := range []journal.Event{
			{Seq: 8, Time: noon, Actor: ops, Act: "flip", Stage: journal.Begun, Service: "world", Reason: "version 2.0"},
			{Seq: 9, Time: noon, Actor: ops, Act: "flip", Stage: journal.Done, Of: 8, Service: "world", After: json.RawMessage(`{"new_on_old":0}`)},
			{Seq: 10, Time: noon.Add(time.Hour), Actor: journal.Actor{Daemon: true}, Act: "drained", Stage: journal.Note, Service: "world"},
		} {
			if err := yield(e); err != nil {
				return err
			}
		}
		return nil
	}}
	check(t, "history", []row{
		{name: "of a flip", args: "history", daemon: flipped},
		{name: "as json", args: "history -o json", daemon: flipped},
		{name: "as yaml", args: "history -o yaml", daemon: flipped},
		{name: "as it comes", args: "history world --follow --act flip --last 5", daemon: flipped},
		{name: "none", args: "history", daemon: failing(nil)},
	})
	if want := (api.HistoryRequest{Service: "world", Act: "flip", Last: 5, Follow: true}); asked != want {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
}

// The files of testdata are a sound journal, one with a changed line and one that a crash tore.
func TestJournalVerify(t *testing.T) {
	check(t, "journal", []row{
		{name: "sound", args: "journal verify --file testdata/sound.journal"},
		{name: "sound as json", args: "journal verify --file testdata/sound.journal -o json"},
		{name: "changed", args: "journal verify --file testdata/changed.journal", code: exitFailed},
		{name: "torn", args: "journal verify --file testdata/torn.journal", code: exitFailed},
		{name: "none", args: "journal verify --file testdata/none.journal", code: exitFailed},
		{name: "no verb", args: "journal", code: exitUsage},
	})
}

func TestTheReasonOfAnActIsSent(t *testing.T) {
	reasons := map[string]string{}
	note := func(verb string, a api.Act) { reasons[verb] = a.Reason }
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnFlip: func(_ context.Context, r api.FlipRequest) (api.FlipResult, error) {
			note("flip", r.Act)
			return api.FlipResult{}, nil
		},
		OnRollback: func(_ context.Context, r api.RollbackRequest) (api.FlipResult, error) {
			note("rollback", r.Act)
			return api.FlipResult{}, nil
		},
		OnShare: func(_ context.Context, r api.ShareRequest) (api.Share, error) {
			note("share", r.Act)
			return api.Share{}, nil
		},
		OnTesters: func(_ context.Context, r api.TestersRequest) (api.Testers, error) {
			note("testers", r.Act)
			return api.Testers{}, nil
		},
		OnEvict: func(_ context.Context, r api.EvictRequest, yield func(api.EvictProgress) error) error {
			note("evict", r.Act)
			return yield(api.EvictProgress{Done: true})
		},
		OnReload: func(_ context.Context, r api.ReloadRequest) (api.Plan, error) {
			note("reload", r.Act)
			return api.Plan{}, nil
		},
		OnDetach: func(_ context.Context, r api.DetachRequest) error { note("detach", r.Act); return nil },
	})
	for _, args := range []string{
		"flip world", "rollback world", "share world 5%", "testers world add 198.51.100.7", "evict world --generation 3", "reload", "detach",
	} {
		if out, code := invoke(t, socket, nil, append(strings.Fields(args), "--reason", "because")...); code != exitDone {
			t.Error(out)
		}
		if verb, _, _ := strings.Cut(args, " "); reasons[verb] != "because" {
			t.Errorf("%s: the daemon was told %q", verb, reasons[verb])
		}
	}
}

func TestLockAndUnlock(t *testing.T) {
	var asked api.LockRequest
	locking := &apitest.Fake{
		OnLock: func(_ context.Context, req api.LockRequest) (api.Lock, error) {
			asked = req
			return api.Lock{Service: req.Service, By: "ops", Reason: req.Reason, Since: noon, Until: noon.Add(req.For())}, nil
		},
		OnUnlock: func(context.Context, api.UnlockRequest) error { return nil },
	}
	check(t, "lock", []row{
		{name: "for hours", args: "lock world --reason tournament --for 4h", daemon: locking},
		{name: "as json", args: "lock world --reason tournament --for 4h -o json", daemon: locking},
		{name: "without a reason", args: "lock world --for 4h", daemon: locking, code: exitUsage},
		{name: "without a time", args: "lock world --reason tournament", daemon: locking, code: exitUsage},
		{name: "for two years", args: "lock world --reason tournament --for 17520h", daemon: locking, code: exitUsage},
		{name: "unlocked", args: "unlock world", daemon: locking},
		{name: "unlocked as json", args: "unlock world -o json", daemon: locking},
		{name: "not locked", args: "unlock world", daemon: failing(api.Errorf(api.Refused, "service world: it is not locked")), code: exitRefused},
	})
	if want := (api.LockRequest{Act: api.Act{Reason: "tournament"}, Service: "world", ForSeconds: 4 * 3600}); asked != want {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
}

func TestCloseAndOpen(t *testing.T) {
	closing := &apitest.Fake{
		OnClose: func(_ context.Context, req api.CloseRequest) (api.Closed, error) {
			return api.Closed{Service: req.Service, Answer: req.Answer, Live: blue3}, nil
		},
		OnOpen: func(_ context.Context, req api.OpenRequest) (api.Closed, error) {
			return api.Closed{Service: req.Service, Live: blue3}, nil
		},
	}
	check(t, "close", []row{
		{name: "closed", args: "close world --reason maintenance", daemon: closing},
		{name: "by icmp", args: "close world --answer icmp", daemon: closing},
		{name: "by silence", args: "close world --answer silence", daemon: closing, code: exitUsage},
		{name: "opened", args: "open world", daemon: closing},
		{name: "as json", args: "open world -o json", daemon: closing},
	})
}

func TestHealth(t *testing.T) {
	var asked api.HealthRequest
	external := &apitest.Fake{OnHealth: func(_ context.Context, req api.HealthRequest) (api.Health, error) {
		asked = req
		return api.Health{Well: req.Well, Sick: req.Reason}, nil
	}}
	check(t, "health", []row{
		{name: "up", args: "health world 10.0.0.11 up", daemon: external},
		{name: "neither", args: "health world 10.0.0.11 sideways", daemon: external, code: exitUsage},
		{name: "down as json", args: "health world 10.0.0.11 down --reason disk -o json", daemon: external},
	})
	if want := (api.HealthRequest{Act: api.Act{Reason: "disk"}, Service: "world", Backend: "10.0.0.11"}); asked != want {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
}

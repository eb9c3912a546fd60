package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
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
		OnReload: func(context.Context) (api.Plan, error) { return plan, nil },
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
		Socket: "/run/s", MetricsAddr: "127.0.0.1:9595",
	}
	if got != want {
		t.Errorf("by default %+v, want %+v", got, want)
	}
	args := "daemon --config c --state-dir s --bpf-dir b --socket k --socket-group g --metrics m --force"
	if out, code := invoke(t, "/run/s", keep(nil), strings.Fields(args)...); code != exitDone {
		t.Error(out)
	}
	want = DaemonOptions{Config: "c", StateDir: "s", BPFDir: "b", Socket: "k", SocketGroup: "g", MetricsAddr: "m", ForceAttach: true}
	if got != want {
		t.Errorf("from flags %+v, want %+v", got, want)
	}
	if out, code := invoke(t, "/run/s", keep(errors.New("no bpffs")), "daemon"); code != exitFailed || !strings.Contains(out, "ebbtide: daemon: no bpffs") {
		t.Error(out)
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
			Generations: []api.Generation{
				{
					GenerationRef: green4, State: api.StateLive, Since: noon.Add(-time.Hour), New: 700, Packets: 90000, Bytes: 9000000,
					Sessions: api.Sessions{HalfOpen: 1, Young: 20, Established: 600, Closing: 4, Total: 625},
					Backends: []api.Backend{
						{ID: 3, Addresses: []string{"10.0.1.11", "fd00::11"}, Weight: 1, State: api.BackendInUse, Sessions: 625, NextHops: []api.NextHop{hop}},
						{ID: 4, Addresses: []string{"10.0.1.12"}, Port: 8443, Weight: 2, State: api.BackendDraining, NextHops: []api.NextHop{lost}},
					},
				},
				{
					GenerationRef: blue3, State: api.StateDraining, Since: noon.Add(-time.Hour), New: 5000, Orphans: 3, ReopenedSinceFlip: 2, Reopened: 4,
					Sessions: api.Sessions{Established: 300, Total: 300},
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

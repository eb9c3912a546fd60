package main

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// baking is a release in the middle of it.
func baking() api.Release {
	flipped, deadline := noon.Add(-time.Minute), noon.Add(2*time.Hour-time.Minute)
	return api.Release{
		Number: 3, Service: "world", Strategy: "session", State: "baking", Since: flipped, Waits: "14m0s of the bake are left",
		From: blue3, To: green4, By: "ops", Reason: "v2 at last", Begun: flipped, Flipped: &flipped, Deadline: &deadline,
		Left: 41, AtFlip: 44, Notices: 1, Hooks: []string{"bake"},
	}
}

func with(r api.Release, edit func(*api.Release)) api.Release {
	edit(&r)
	return r
}

// going yields the states of a release, one after another.
func going(all ...api.Release) *apitest.Fake {
	return &apitest.Fake{
		OnRelease: func(context.Context, api.ReleaseRequest) (api.Release, error) { return all[0], nil },
		OnReleases: func(context.Context, api.ReleasesRequest) (api.Releases, error) {
			return api.Releases{Service: "world", Releases: all}, nil
		},
		OnWatch: func(_ context.Context, _ api.ReleasesRequest, yield func(api.Release) error) error {
			for _, r := range all {
				if err := yield(r); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func TestRelease(t *testing.T) {
	over := func(state, why string) api.Release {
		return with(baking(), func(r *api.Release) { r.State, r.Why, r.Waits, r.Left, r.Over, r.Done = state, why, "", 0, true, true })
	}
	failed := with(baking(), func(r *api.Release) {
		r.State, r.StoppedIn, r.Why = "failed", "promoting", "the hook of backup: exit code 1"
	})
	canary := with(baking(), func(r *api.Release) {
		r.Strategy, r.State, r.Step, r.Steps, r.Flipped, r.Deadline = "canary", "stepping", 1, 2, nil, nil
	})
	check(t, "release", []row{
		{name: "begun", args: "release world", daemon: going(canary)},
		{name: "as json", args: "release world -o json", daemon: going(baking())},
		{name: "waited for", args: "release world --wait", daemon: going(baking(), baking(), over("done", "the hooks are through"))},
		{name: "rolled back meanwhile", args: "release world --wait", daemon: going(baking(), over("rolled-back", "gate early failed: 4%")), code: exitEnded},
		{name: "failed meanwhile", args: "release watch world", daemon: going(baking(), failed), code: exitFailed},
		{name: "status", args: "release status world", daemon: going(over("done", ""), failed, baking())},
		{name: "status of what is over", args: "release status world", daemon: going(over("done", ""), over("aborted", "it was too late"))},
		{name: "status of none", args: "release status world", daemon: going()},
		{name: "a word", args: "release pause world", daemon: going(with(baking(), func(r *api.Release) { r.State, r.StoppedIn, r.Why = "paused", "baking", "dinner" }))},
		{name: "no service", args: "release", code: exitUsage},
		{name: "an approval of nothing", args: "release approve world", code: exitUsage},
		{name: "refused", args: "release abort world", code: exitRefused,
			daemon: failing(api.Errorf(api.Refused, "service world: release 3 is baking: it is live: roll it back"))},
	})
}

func TestAReleaseOfAGroup(t *testing.T) {
	of := func(name, state string) api.Release {
		return with(baking(), func(r *api.Release) { r.Service, r.Group, r.State = name, "shard-1", state })
	}
	over := func(name, state string) api.Release {
		return with(of(name, state), func(r *api.Release) {
			r.Why, r.Waits, r.Left, r.Over, r.Done = "its group goes back: world: release 3 is rolling-back", "", 0, true, true
		})
	}
	// The releases of login, each after the one before; that of world waits for it to end.
	group := func(logins ...api.Release) *apitest.Fake {
		both := api.GroupReleases{Group: "shard-1", Releases: []api.Release{of("login", "verifying"), of("world", "verifying")}}
		both.Releases[1].Waits = "its group is not ready: login: candidate: 0 of 2 ipv4 backends"
		return &apitest.Fake{
			OnReleaseGroup: func(context.Context, api.GroupReleaseRequest) (api.GroupReleases, error) { return both, nil },
			OnStatus: func(context.Context) (api.Status, error) {
				return api.Status{Services: []api.Service{{Name: "chat"}, {Name: "login", Group: "shard-1"}, {Name: "world", Group: "shard-1"}}}, nil
			},
			OnReleases: func(_ context.Context, req api.ReleasesRequest) (api.Releases, error) {
				if req.Service == "login" {
					return api.Releases{Service: "login", Releases: []api.Release{over("login", "done"), both.Releases[0]}}, nil
				}
				return api.Releases{Service: "world", Releases: both.Releases[1:]}, nil
			},
			OnWatch: func(ctx context.Context, req api.ReleasesRequest, yield func(api.Release) error) error {
				if req.Service == "world" && logins[len(logins)-1].State != "done" {
					<-ctx.Done()
					return ctx.Err()
				}
				if req.Service == "world" {
					return yield(over("world", "done"))
				}
				for _, r := range logins {
					if err := yield(r); err != nil {
						return err
					}
				}
				return nil
			},
		}
	}
	check(t, "release-group", []row{
		{name: "begun", args: "release --group shard-1", daemon: group()},
		{name: "as json", args: "release --group shard-1 -o json", daemon: group()},
		{name: "a word", args: "release pause --group shard-1", daemon: group()},
		{name: "status", args: "release status --group shard-1", daemon: group()},
		{name: "status of no group", args: "release status --group shard-2", daemon: group(), code: exitUsage},
		{name: "taken back meanwhile", args: "release --group shard-1 --wait", daemon: group(of("login", "baking"), over("login", "rolled-back")), code: exitEnded},
		{name: "failed meanwhile", args: "release watch --group shard-1", code: exitFailed,
			daemon: group(with(of("login", "failed"), func(r *api.Release) { r.StoppedIn, r.Why = "verifying", "candidate: 0 of 2 ipv4 backends" }))},
		{name: "a notice", args: "release notice --group shard-1", code: exitUsage},
		{name: "at a time", args: "release --group shard-1 --at 14:00", code: exitUsage},
		{name: "alone", args: "release --group shard-1 --alone", code: exitUsage},
		{name: "of a number", args: "release abort --group shard-1 --number 3", code: exitUsage},
		{name: "service and group", args: "release world --group shard-1", code: exitUsage},
	})
	socket, _ := apitest.Serve(t, group(over("login", "done")))
	out, code := invoke(t, socket, nil, "release", "watch", "--group", "shard-1") // in either order
	for _, line := range []string{"login: release 3: done\n", "world: release 3: done\n"} {
		if code != exitDone || !strings.Contains(out, line) {
			t.Errorf("exit code %d, want %q:\n%s", code, line, out)
		}
	}
}

func TestReleaseAsksForWhatItIsTold(t *testing.T) {
	var got api.ReleaseRequest
	var together api.GroupReleaseRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnRelease: func(_ context.Context, req api.ReleaseRequest) (api.Release, error) {
			got = req
			return baking(), nil
		},
		OnReleaseGroup: func(_ context.Context, req api.GroupReleaseRequest) (api.GroupReleases, error) {
			together = req
			return api.GroupReleases{Group: req.Group, Releases: []api.Release{baking()}}, nil
		},
	})
	for args, want := range map[string]api.ReleaseRequest{
		"release world --force":                   {Service: "world", Do: "release", Force: true},
		"release world --alone":                   {Service: "world", Do: "release", Alone: true},
		"release pause world --reason dinner":     {Service: "world", Do: "pause", Act: api.Act{Reason: "dinner"}},
		"release approve world ops --number 3":    {Service: "world", Do: "approve", Gate: "ops", Number: 3},
		"release rollback world --break-lock":     {Service: "world", Do: "rollback", Act: api.Act{BreakLock: true}},
		"release notice world --reason late":      {Service: "world", Do: "notice", Act: api.Act{Reason: "late"}},
		"release resume world":                    {Service: "world", Do: "resume"},
		"release abort world --number 2 -o yaml ": {Service: "world", Do: "abort", Number: 2},
	} {
		if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone || !reflect.DeepEqual(got, want) {
			t.Errorf("%s asked for %+v:\n%s", args, got, out)
		}
	}
	for args, want := range map[string]api.GroupReleaseRequest{
		"release --group shard-1 --force --reason v2": {Group: "shard-1", Do: "release", Force: true, Act: api.Act{Reason: "v2"}},
		"release rollback --group shard-1":            {Group: "shard-1", Do: "rollback"},
		"release abort --group shard-1 --break-lock":  {Group: "shard-1", Do: "abort", Act: api.Act{BreakLock: true}},
	} {
		if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone || !reflect.DeepEqual(together, want) {
			t.Errorf("%s asked for %+v:\n%s", args, together, out)
		}
	}
}

func TestVerifyAndPlanOfARelease(t *testing.T) {
	v := api.Verification{Service: "world", From: blue3, To: green4, OK: true, Checks: []api.Check{
		{Name: "candidate", OK: true, Detail: "2 of 2 ipv4 backends of generation 4 have a weight and a resolved next hop"},
		{Name: "probe", OK: true, Unknown: true, Detail: "not asked: the service has no release.probes"},
		{Name: "table ipv4", OK: true, Detail: "812 of max_flows 1000000 are used, 90% would be too many"},
	}}
	bad := v
	bad.OK, bad.Checks = false, []api.Check{{Name: "rollback", Detail: "generation 3 is in no pool"}}
	plan := api.ReleasePlan{Verification: v, Strategy: "session", Steps: []api.ReleaseStep{
		{State: "verifying", What: "the checks are made"}, {State: "noticing", What: "those who are left are told", Hooks: []string{"notice: /usr/local/bin/notice"}},
	}}
	verified := func(v api.Verification) *apitest.Fake {
		return &apitest.Fake{OnVerify: func(context.Context, api.ReleasesRequest) (api.Verification, error) { return v, nil }}
	}
	planned := &apitest.Fake{OnOutlook: func(context.Context, api.ReleasesRequest) (api.ReleasePlan, error) { return plan, nil }}
	check(t, "verify", []row{
		{name: "all is well", args: "verify world", daemon: verified(v)},
		{name: "a check fails", args: "verify world", daemon: verified(bad), code: exitRefused},
		{name: "the plan", args: "plan --release world", daemon: planned},
		{name: "the plan as json", args: "plan --release world -o json", daemon: planned},
		{name: "a plan of both", args: "plan --release world new.yaml", code: exitUsage},
	})
}

func TestStage(t *testing.T) {
	pool := filepath.Join(t.TempDir(), "pool.yaml")
	if err := os.WriteFile(pool, []byte("backends: [{address: 10.0.1.11}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got api.StageRequest
	daemon := &apitest.Fake{OnStage: func(_ context.Context, req api.StageRequest) (api.Staged, error) {
		got = req
		return api.Staged{Service: "world", Candidate: green4, Changes: []api.Change{{Service: "world", What: "new generation 4 on green: version 2.0"}}}, nil
	}}
	socket, _ := apitest.Serve(t, daemon)
	out, code := invoke(t, socket, nil, "stage", "world", "--version", "2.0", "--file", pool)
	if want := "world: generation 4 (green, version 2.0) is staged\n  new generation 4 on green: version 2.0\n-- exit 0"; code != exitDone || !strings.Contains(out, want) {
		t.Errorf("%s", out)
	}
	if want := (api.StageRequest{Service: "world", Version: "2.0", Name: pool, Pool: got.Pool}); !reflect.DeepEqual(got, want) || !strings.Contains(string(got.Pool), "10.0.1.11") {
		t.Errorf("asked for %+v", got)
	}
	check(t, "stage", []row{
		{name: "no version", args: "stage world --file pool.yaml", code: exitUsage},
		{name: "no such file", args: "stage world --version 2.0 --file /none/pool.yaml", daemon: daemon, code: exitFailed},
	})
}

func TestStatusShowsReleasesThatAreUnderWay(t *testing.T) {
	paused := with(baking(), func(r *api.Release) { r.State, r.StoppedIn, r.Waits = "paused", "baking", "" })
	s := api.Status{Services: []api.Service{{Name: "world", Releases: []api.Release{paused, baking()}}, {Name: "lobby"}}}
	socket, _ := apitest.Serve(t, &apitest.Fake{OnStatus: func(context.Context) (api.Status, error) { return s, nil }})
	out, code := invoke(t, socket, nil, "status")
	for _, want := range []string{"RELEASE", "world 3  paused while baking  41    -", "world 3  baking               41    14m0s of the bake are left"} {
		if code != exitDone || !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

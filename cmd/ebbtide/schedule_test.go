package main

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

func TestSchedule(t *testing.T) {
	over := noon.Add(-time.Hour)
	one := api.Scheduled{
		Number: 7, Service: "world", What: "flip to generation 4", At: noon.Add(2 * time.Hour), GraceSeconds: 300, By: "ops",
		Reason: "version 2.0", Made: noon, State: api.ScheduledPending,
	}
	group := one
	group.Number, group.Service, group.Group, group.What = 8, "", "shard-1", "flip login to generation 4, world to generation 4"
	failed := one
	failed.Number, failed.At, failed.State, failed.Finished = 6, over, api.ScheduledFailed, &over
	failed.Detail = "service world: locked by root until 2026-03-01T13:00:00Z: tournament; wait, ask him, or give --break-lock"
	var asked []api.ScheduleRequest
	taken := one
	taken.State = api.ScheduledTakenBack
	fake := &apitest.Fake{
		OnSchedule: func(_ context.Context, req api.ScheduleRequest) (api.Scheduled, error) {
			asked = append(asked, req)
			if req.FlipGroup != nil {
				return group, nil
			}
			return one, nil
		},
		OnSchedules: func(context.Context, api.SchedulesRequest) (api.Schedules, error) {
			return api.Schedules{Scheduled: []api.Scheduled{failed, one, group}}, nil
		},
		OnUnschedule: func(context.Context, api.UnscheduleRequest) (api.Schedules, error) {
			return api.Schedules{Scheduled: []api.Scheduled{taken}}, nil
		},
		OnStatus: func(context.Context) (api.Status, error) {
			return api.Status{Version: "v0.1.0", StartedAt: noon, ConfigFile: "x.yaml", Schedule: []api.Scheduled{failed, one}}, nil
		},
	}
	check(t, "schedule", []row{
		{name: "flip", args: "flip world --at 14:00 --reason v2", daemon: fake},
		{name: "flip of a group", args: "flip --group shard-1 --at 15:00 --time-zone Europe/Berlin --grace 1m --break-lock", daemon: fake},
		{name: "flip as json", args: "flip world --at 14:00 -o json", daemon: fake},
		{name: "release", args: "release world --at 14:00 --reason v2", daemon: fake},
		{name: "list", args: "schedule", daemon: fake},
		{name: "list as json", args: "schedule world -o json", daemon: fake},
		{name: "nothing", args: "schedule", daemon: &apitest.Fake{OnSchedules: func(context.Context, api.SchedulesRequest) (api.Schedules, error) { return api.Schedules{}, nil }}},
		{name: "cancel", args: "schedule cancel 7", daemon: fake},
		{name: "cancel nothing", args: "schedule cancel world", code: exitUsage, daemon: &apitest.Fake{
			OnUnschedule: func(context.Context, api.UnscheduleRequest) (api.Schedules, error) {
				return api.Schedules{}, api.Errorf(api.NotFound, "service world: nothing is scheduled")
			}}},
		{name: "in status", args: "status", daemon: fake},
		{name: "zone without a time", args: "flip world --time-zone UTC", code: exitUsage},
		{name: "wait for later", args: "flip world --at 14:00 --wait", code: exitUsage},
		{name: "wait for a later release", args: "release world --at 14:00 --wait", code: exitUsage},
		{name: "no grace", args: "flip world --at 14:00 --grace 0s", daemon: fake, code: exitUsage},
	})
	want := api.ScheduleRequest{Act: api.Act{BreakLock: true}, At: "15:00", TimeZone: "Europe/Berlin", GraceSeconds: 60,
		FlipGroup: &api.GroupFlipRequest{Act: api.Act{BreakLock: true}, Group: "shard-1"}}
	if len(asked) < 2 || !reflect.DeepEqual(asked[1], want) {
		t.Errorf("asked for %+v", asked)
	}
}

func TestCancelTakesANumberOrAService(t *testing.T) {
	var got api.UnscheduleRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{OnUnschedule: func(_ context.Context, req api.UnscheduleRequest) (api.Schedules, error) {
		got = req
		return api.Schedules{}, nil
	}})
	for args, want := range map[string]api.UnscheduleRequest{
		"schedule cancel 7": {Number: 7}, "schedule cancel world --reason no": {Service: "world", Act: api.Act{Reason: "no"}},
	} {
		if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone || got != want {
			t.Errorf("%s asked for %+v:\n%s", args, got, out)
		}
	}
}

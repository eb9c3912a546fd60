package main

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/journal"
)

func TestEvents(t *testing.T) {
	var asked api.EventsRequest
	flipped := &apitest.Fake{OnEvents: func(_ context.Context, req api.EventsRequest, yield func(api.Event) error) error {
		asked = req
		for _, e := range []api.Event{
			{},
			{Journal: &journal.Event{Seq: 8, Time: noon, Actor: journal.Actor{User: "ops"}, Act: "flip", Stage: journal.Begun, Service: "world", Reason: "version 2.0"}},
			{Journal: &journal.Event{Seq: 9, Time: noon, Actor: journal.Actor{User: "ops"}, Act: "flip", Stage: journal.Done, Of: 8, Service: "world", After: json.RawMessage(`{"new_on_old":0}`)}},
			{Drain: &api.DrainProgress{Service: "world", Generation: blue3, State: api.StateDraining, Left: api.Sessions{Established: 3, Total: 3}, RatePerSecond: 0.5}},
		} {
			if err := yield(e); err != nil {
				return err
			}
		}
		return nil
	}}
	check(t, "events", []row{
		{name: "of a flip", args: "events", daemon: flipped},
		{name: "as json", args: "events -o json", daemon: flipped},
		{name: "as yaml", args: "events -o yaml", daemon: flipped},
	})
	n := func(n uint64) *uint64 { return &n }
	check(t, "events", []row{{name: "as they come", args: "events --follow --service world", daemon: flipped}})
	if want := (api.EventsRequest{Service: "world"}); !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
	check(t, "events", []row{{name: "after one", args: "events --follow --after 7", daemon: flipped}})
	if want := (api.EventsRequest{After: n(7)}); !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
}

func TestWhoFollowsAndHasSeenEnoughIsNoFailure(t *testing.T) {
	e := journal.Event{Seq: 7, Act: "flip"}
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnEvents: func(ctx context.Context, _ api.EventsRequest, yield func(api.Event) error) error {
			err := yield(api.Event{Journal: &e})
			<-ctx.Done()
			return err
		},
		OnHistory: func(ctx context.Context, _ api.HistoryRequest, yield func(journal.Event) error) error {
			err := yield(e)
			<-ctx.Done()
			return err
		},
	})
	for args, want := range map[string]int{"events --follow": exitDone, "history --follow": exitDone, "events": exitFailed} {
		ctx, cancel := context.WithCancel(t.Context())
		var stderr strings.Builder
		stdout := writerFunc(func(p []byte) (int, error) {
			cancel()
			return len(p), nil
		})
		to := env{stdout: stdout, stderr: &stderr, getenv: only(socketEnv, socket), now: time.Now}
		if code := run(ctx, to, strings.Fields(args)); code != want || (stderr.String() == "") != (want == exitDone) {
			t.Errorf("%s: exit code %d: %s", args, code, stderr.String())
		}
		cancel()
	}
}

package main

import (
	"context"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// What top shows on a terminal is tested beside it, in internal/top.
func TestTopInLines(t *testing.T) {
	daemon := &apitest.Fake{
		OnStatus: func(context.Context) (api.Status, error) {
			return api.Status{Services: []api.Service{
				{Name: "lobby", Live: blue3, Generations: []api.Generation{{GenerationRef: blue3, State: api.StateLive, Sessions: api.Sessions{Total: 1}}}},
				{Name: "world", Live: green4, Generations: []api.Generation{
					{GenerationRef: blue3, State: api.StateDraining, Sessions: api.Sessions{Total: 212}, NewSinceFlip: 2},
					{GenerationRef: green4, State: api.StateLive, Sessions: api.Sessions{Total: 40}},
				}},
			}}, nil
		},
		OnEvents: func(ctx context.Context, _ api.EventsRequest, _ func(api.Event) error) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}
	var at time.Time
	ticks := func(e *env) {
		at = noon
		e.now = func() time.Time { at = at.Add(time.Second); return at }
	}
	check(t, "top", []row{
		{name: "all", args: "top --times 1", daemon: daemon},
		{name: "one twice", args: "top world --times 2 --interval 100ms", daemon: daemon, env: ticks},
		{name: "unknown service", args: "top wrold", daemon: daemon, code: exitUsage},
		{name: "too often", args: "top --interval 1ms", daemon: daemon, code: exitUsage},
		{name: "less than none", args: "top --times -1", daemon: daemon, code: exitUsage},
	})
}

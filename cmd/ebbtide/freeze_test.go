package main

import (
	"context"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

func TestLockListsWhatHolds(t *testing.T) {
	weekend := func(days int) *api.Freeze {
		from := noon.AddDate(0, 0, days)
		return &api.Freeze{Reason: "weekend", From: from, Until: from.Add(60 * time.Hour)}
	}
	held := &apitest.Fake{OnStatus: func(context.Context) (api.Status, error) {
		return api.Status{Version: "v0.1.0", StartedAt: noon, ConfigFile: "x.yaml", Services: []api.Service{
			{Name: "lobby"},
			{Name: "login", NextFreeze: weekend(6)},
			{Name: "world", Freeze: weekend(-1), NextFreeze: weekend(6),
				Lock: &api.Lock{Service: "world", By: "ops", Reason: "tournament", Since: noon, Until: noon.Add(4 * time.Hour)}},
		}}, nil
	}}
	check(t, "lock", []row{
		{name: "list", args: "lock", daemon: held},
		{name: "list as json", args: "lock -o json", daemon: held},
		{name: "list of nothing", args: "lock", daemon: failing(nil)},
		{name: "list of nothing as json", args: "lock -o json", daemon: failing(nil)},
		{name: "without a service", args: "lock --for 4h", daemon: held, code: exitUsage},
		{name: "in status", args: "status", daemon: held},
	})
}

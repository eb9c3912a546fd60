package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

func TestGroups(t *testing.T) {
	member := func(name string, changed bool) api.FlipResult {
		res := api.FlipResult{Service: name, Changed: changed, Live: green4}
		if changed {
			res.Old, res.SessionsOnOld, res.BarrierMicros = &blue3, 7, 5210
		}
		return res
	}
	both := api.GroupFlipResult{Group: "shard-1", Members: []api.FlipResult{member("login", true), member("world", true)}, ApartNanos: 81, BarrierMicros: 5210}
	one := api.GroupFlipResult{Group: "shard-1", Members: []api.FlipResult{member("login", false), member("world", true)}}
	broken := api.GroupFlipResult{Group: "shard-1", Members: []api.FlipResult{member("login", true), member("world", true)}}
	broken.Members[1].NewOnOld = 2
	flipping := func(res api.GroupFlipResult, err error) *apitest.Fake {
		return &apitest.Fake{
			OnFlipGroup:     func(context.Context, api.GroupFlipRequest) (api.GroupFlipResult, error) { return res, err },
			OnRollbackGroup: func(context.Context, api.GroupRollbackRequest) (api.GroupFlipResult, error) { return res, err },
			OnDrain: func(_ context.Context, req api.DrainRequest, yield func(api.DrainProgress) error) error {
				if req.Group != "shard-1" || req.Service != "" {
					return errors.New("not for the group")
				}
				return errors.Join(
					yield(api.DrainProgress{Service: "chat", State: api.StateDrained}),
					yield(api.DrainProgress{Service: "login", Generation: blue3, State: api.StateDraining, Left: api.Sessions{Total: 4}}),
					yield(api.DrainProgress{Service: "world", Generation: blue3, State: api.StateDraining, Left: api.Sessions{Total: 3}}),
					yield(api.DrainProgress{Service: "login", Generation: blue3, State: api.StateDrained}),
					yield(api.DrainProgress{Service: "world", Generation: blue3, State: api.StateDrained, Done: true}))
			},
		}
	}
	check(t, "group", []row{
		{name: "flip", args: "flip --group shard-1", daemon: flipping(both, nil)},
		{name: "flip as json", args: "flip --group shard-1 -o json", daemon: flipping(both, nil)},
		{name: "flip of one that is left", args: "flip --group shard-1 --to green", daemon: flipping(one, nil)},
		{name: "flip and wait", args: "flip --group shard-1 --wait", daemon: flipping(both, nil)},
		{name: "broken", args: "flip --group shard-1", daemon: flipping(broken, nil), code: exitFailed},
		{name: "refused", args: "flip --group shard-1", daemon: flipping(both, api.Errorf(api.Refused, "service login: nothing is staged on green")), code: exitRefused},
		{name: "rollback", args: "rollback --group shard-1", daemon: flipping(both, nil)},
		{name: "drain", args: "drain --group shard-1 --wait", daemon: flipping(both, nil)},
		{name: "service and group", args: "flip world --group shard-1", code: exitUsage},
		{name: "neither", args: "rollback", code: exitUsage},
		{name: "generation of a group", args: "drain --group shard-1 --generation 3 --wait", daemon: flipping(both, nil), code: exitUsage},
	})
}

func TestAServiceCanBeToldToGoAlone(t *testing.T) {
	var asked []bool
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnFlip: func(_ context.Context, req api.FlipRequest) (api.FlipResult, error) {
			asked = append(asked, req.Alone)
			return api.FlipResult{}, nil
		},
		OnRollback: func(_ context.Context, req api.RollbackRequest) (api.FlipResult, error) {
			asked = append(asked, req.Alone)
			return api.FlipResult{}, nil
		},
	})
	for _, args := range []string{"flip world --alone", "rollback world --alone"} {
		if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone {
			t.Error(out)
		}
	}
	if len(asked) != 2 || !asked[0] || !asked[1] {
		t.Errorf("asked %v", asked)
	}
}

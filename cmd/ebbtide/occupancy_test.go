package main

import (
	"context"
	"reflect"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

func TestOccupancy(t *testing.T) {
	var asked []api.OccupancyRequest
	said := &apitest.Fake{OnOccupancy: func(_ context.Context, r api.OccupancyRequest) (api.Occupancy, error) {
		asked = append(asked, r)
		return api.Occupancy{Players: &r.Players, Free: r.Free, At: &noon, Sessions: 178, Difference: new(int64(2))}, nil
	}}
	refused := failing(api.Errorf(api.Refused, "service world: its backends are asked"))
	check(t, "occupancy", []row{
		{name: "said", args: "occupancy world 10.0.1.11 --players 180 --free 20", daemon: said},
		{name: "of players only", args: "occupancy world 10.0.1.11 --players 180", daemon: said},
		{name: "as json", args: "occupancy world 10.0.1.11 --players 180 --free 0 -o json", daemon: said},
		{name: "refused", args: "occupancy world 10.0.1.11 --players 180", daemon: refused, code: exitRefused},
		{name: "without players", args: "occupancy world 10.0.1.11 --free 3", daemon: said, code: exitUsage},
		{name: "below zero", args: "occupancy world 10.0.1.11 --players -1", daemon: said, code: exitUsage},
	})
	want := []api.OccupancyRequest{
		{Service: "world", Backend: "10.0.1.11", Players: 180, Free: new(uint64(20))},
		{Service: "world", Backend: "10.0.1.11", Players: 180},
		{Service: "world", Backend: "10.0.1.11", Players: 180, Free: new(uint64(0))},
	}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %+v, want %+v", asked, want)
	}
}

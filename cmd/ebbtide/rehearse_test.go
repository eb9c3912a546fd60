package main

import (
	"context"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

func TestRehearse(t *testing.T) {
	steps := []api.RehearsalStep{
		{Name: "candidate", OK: true, Detail: "2 of 2 ipv4 backends of generation 4 have a weight and a resolved next hop"},
		{Name: "would flip", OK: true, Unknown: true, Detail: "all new sessions go to generation 4, 41 sessions stay on generation 3"},
		{Name: "flip", OK: true, Detail: "0 new sessions on the old generation since", Seconds: 0.25},
	}
	bad := append(steps[:2:2], api.RehearsalStep{Name: "flip", Detail: "the tcp session of 198.18.117.100:40000 is broken: message 2: no answer in 3s"})
	playing := func(steps []api.RehearsalStep, whole bool) *apitest.Fake {
		return &apitest.Fake{OnRehearse: func(_ context.Context, _ api.RehearseRequest, yield func(api.Rehearsal) error) error {
			r := api.Rehearsal{Service: "world", Strategy: "session", From: blue3, To: green4, OK: true}
			for i, s := range steps {
				r.Steps, r.OK = steps[:i+1], r.OK && s.OK
				if err := yield(r); err != nil {
					return err
				}
			}
			if r.Done = whole; whole {
				return yield(r)
			}
			return nil
		}}
	}
	check(t, "rehearse", []row{
		{name: "all is well", args: "rehearse world", daemon: playing(steps, true)},
		{name: "all is well as json", args: "rehearse world -o json", daemon: playing(steps, true)},
		{name: "a step goes wrong", args: "rehearse world", daemon: playing(bad, true), code: exitRefused},
		{name: "cut short", args: "rehearse world", daemon: playing(steps, false), code: exitFailed},
		{name: "no service", args: "rehearse", code: exitUsage},
	})
}

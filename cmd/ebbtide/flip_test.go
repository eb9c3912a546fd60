package main

import (
	"context"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// flipping is a daemon whose flip and rollback give res, and whose drain
// yields what follows.
func flipping(res api.FlipResult, progress ...api.DrainProgress) *apitest.Fake {
	fake := draining(progress...)
	fake.OnFlip = func(_ context.Context, req api.FlipRequest) (api.FlipResult, error) {
		res.Service = req.Service
		return res, nil
	}
	fake.OnRollback = func(_ context.Context, req api.RollbackRequest) (api.FlipResult, error) {
		res.Service = req.Service
		return res, nil
	}
	return fake
}

func toGreen() api.FlipResult {
	return api.FlipResult{Changed: true, Live: green4, Old: &blue3, ReopenedOnOld: 2, SessionsOnOld: 1234, BarrierMicros: 8125}
}

func TestFlip(t *testing.T) {
	broken := toGreen()
	broken.NewOnOld = 3
	check(t, "flip", []row{
		{name: "prints the proof", args: "flip world", daemon: flipping(toGreen())},
		{name: "proof as json", args: "flip world -o json", daemon: flipping(toGreen())},
		{name: "proof as yaml", args: "flip world -o yaml", daemon: flipping(toGreen())},
		{name: "live already", args: "flip world --to green", daemon: flipping(api.FlipResult{Live: green4})},
		{name: "first of all", args: "flip world", daemon: flipping(api.FlipResult{Changed: true, Live: green4})},
		{name: "proof that fails", args: "flip world", daemon: flipping(broken), code: exitFailed},
		{name: "proof that fails ends the wait", args: "flip world --wait", daemon: flipping(broken), code: exitFailed},
		{name: "refused", args: "flip world", daemon: failing(api.Errorf(api.Refused, "green has no usable backend")), code: exitRefused},
		{name: "unknown service", args: "flip moon", daemon: failing(api.Errorf(api.NotFound, "no service moon")), code: exitUsage},
		{name: "unknown colour", args: "flip world --to red", daemon: &apitest.Fake{}, code: exitUsage},
		{name: "no daemon", args: "flip world", code: exitNoDaemon},
		{name: "waits until drained", args: "flip world --wait", daemon: flipping(toGreen(), at(2, 1), drained(3))},
		{name: "waits as json", args: "flip world --wait -o json", daemon: flipping(toGreen(), at(2, 1), drained(3))},
		{name: "live already and waits", args: "flip world --wait",
			daemon: flipping(api.FlipResult{Live: green4}, api.DrainProgress{State: api.StateDrained, Done: true})},
		{name: "wait times out", args: "flip world --wait --timeout 20ms", daemon: flipping(toGreen()), code: exitTimeout},
	})
}

func TestRollback(t *testing.T) {
	check(t, "rollback", []row{
		{name: "prints the proof", args: "rollback world", daemon: flipping(api.FlipResult{Changed: true, Live: blue3, Old: &green4})},
		{name: "as json", args: "rollback world -o json", daemon: flipping(api.FlipResult{Changed: true, Live: blue3, Old: &green4})},
		{name: "nothing before", args: "rollback world", daemon: failing(api.Errorf(api.Refused, "nothing was live before generation 1")), code: exitRefused},
	})
}

func TestFlipAsksForWhatItsFlagsSay(t *testing.T) {
	var got api.FlipRequest
	var drain api.DrainRequest
	fake := flipping(toGreen(), drained(3))
	flip, watch := fake.OnFlip, fake.OnDrain
	fake.OnFlip = func(ctx context.Context, req api.FlipRequest) (api.FlipResult, error) {
		got = req
		return flip(ctx, req)
	}
	fake.OnDrain = func(ctx context.Context, req api.DrainRequest, yield func(api.DrainProgress) error) error {
		drain = req
		return watch(ctx, req, yield)
	}
	socket, _ := apitest.Serve(t, fake)
	if out, code := invoke(t, socket, nil, "flip", "world", "--to", "green", "--force", "--wait"); code != exitDone {
		t.Error(out)
	}
	if want := (api.FlipRequest{Service: "world", To: "green", Force: true}); got != want {
		t.Errorf("asked for %+v", got)
	}
	if want := (api.DrainRequest{Service: "world", Generation: 3}); drain != want {
		t.Errorf("waited for %+v", drain)
	}
}

// Package apitest has a daemon whose answers a test chooses.
package apitest

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Fake is a Controller made of functions. One that is nil is not expected.
type Fake struct {
	OnStatus   func(context.Context) (api.Status, error)
	OnFlip     func(context.Context, api.FlipRequest) (api.FlipResult, error)
	OnRollback func(context.Context, api.RollbackRequest) (api.FlipResult, error)
	OnDrain    func(context.Context, api.DrainRequest, func(api.DrainProgress) error) error
	OnFlows    func(context.Context, api.FlowFilter, func(api.Flow) error) error
	OnPlan     func(context.Context, api.PlanRequest) (api.Plan, error)
	OnReload   func(context.Context) (api.Plan, error)
	OnDetach   func(context.Context) error
}

var _ api.Controller = (*Fake)(nil)

// Status implements api.Controller, as do the rest.
func (f *Fake) Status(ctx context.Context) (api.Status, error) { return f.OnStatus(ctx) }

func (f *Fake) Flip(ctx context.Context, req api.FlipRequest) (api.FlipResult, error) {
	return f.OnFlip(ctx, req)
}

func (f *Fake) Rollback(ctx context.Context, req api.RollbackRequest) (api.FlipResult, error) {
	return f.OnRollback(ctx, req)
}

func (f *Fake) WatchDrain(ctx context.Context, req api.DrainRequest, yield func(api.DrainProgress) error) error {
	return f.OnDrain(ctx, req, yield)
}

func (f *Fake) Flows(ctx context.Context, filter api.FlowFilter, yield func(api.Flow) error) error {
	return f.OnFlows(ctx, filter, yield)
}

func (f *Fake) Plan(ctx context.Context, req api.PlanRequest) (api.Plan, error) {
	return f.OnPlan(ctx, req)
}

func (f *Fake) Reload(ctx context.Context) (api.Plan, error) { return f.OnReload(ctx) }

func (f *Fake) Detach(ctx context.Context) error { return f.OnDetach(ctx) }

// Serve puts the real server before ctl and gives its socket. stop ends it and
// waits; the end of the test does, too.
func Serve(tb testing.TB, ctl api.Controller) (socket string, stop func()) {
	tb.Helper()
	socket = filepath.Join(tb.TempDir(), "s")
	ln, err := api.Listen(socket, "")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := api.Serve(ctx, ln, ctl, slog.New(slog.DiscardHandler)); err != nil {
			tb.Errorf("serve: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	tb.Cleanup(stop)
	return socket, stop
}

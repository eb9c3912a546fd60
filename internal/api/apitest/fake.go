// Package apitest has a daemon whose answers a test chooses.
package apitest

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// Fake is a Controller made of functions. One that is nil is not expected.
type Fake struct {
	OnStatus        func(context.Context) (api.Status, error)
	OnFlip          func(context.Context, api.FlipRequest) (api.FlipResult, error)
	OnRollback      func(context.Context, api.RollbackRequest) (api.FlipResult, error)
	OnSchedule      func(context.Context, api.ScheduleRequest) (api.Scheduled, error)
	OnSchedules     func(context.Context, api.SchedulesRequest) (api.Schedules, error)
	OnUnschedule    func(context.Context, api.UnscheduleRequest) (api.Schedules, error)
	OnTesters       func(context.Context, api.TestersRequest) (api.Testers, error)
	OnShare         func(context.Context, api.ShareRequest) (api.Share, error)
	OnEvict         func(context.Context, api.EvictRequest, func(api.EvictProgress) error) error
	OnDrain         func(context.Context, api.DrainRequest, func(api.DrainProgress) error) error
	OnFlows         func(context.Context, api.FlowFilter, func(api.Flow) error) error
	OnExplain       func(context.Context, api.ExplainRequest, func(api.Explanation) error) error
	OnTrace         func(context.Context, api.TraceRequest, func(api.Traced) error) error
	OnReplay        func(context.Context, api.ReplayRequest) (api.Replay, error)
	OnDrops         func(context.Context, api.DropsRequest) (api.Drops, error)
	OnPlan          func(context.Context, api.PlanRequest) (api.Plan, error)
	OnHistory       func(context.Context, api.HistoryRequest, func(journal.Event) error) error
	OnRelease       func(context.Context, api.ReleaseRequest) (api.Release, error)
	OnGates         func(context.Context, api.GatesRequest) (api.Gates, error)
	OnReleaseGroup  func(context.Context, api.GroupReleaseRequest) (api.GroupReleases, error)
	OnReleases      func(context.Context, api.ReleasesRequest) (api.Releases, error)
	OnWatch         func(context.Context, api.ReleasesRequest, func(api.Release) error) error
	OnRehearse      func(context.Context, api.RehearseRequest, func(api.Rehearsal) error) error
	OnVerify        func(context.Context, api.ReleasesRequest) (api.Verification, error)
	OnOutlook       func(context.Context, api.ReleasesRequest) (api.ReleasePlan, error)
	OnEvents        func(context.Context, api.EventsRequest, func(api.Event) error) error
	OnReport        func(context.Context, api.ReportRequest) (api.Report, error)
	OnBundle        func(context.Context, api.SupportBundleRequest) (api.SupportBundle, error)
	OnLock          func(context.Context, api.LockRequest) (api.Lock, error)
	OnUnlock        func(context.Context, api.UnlockRequest) error
	OnHealth        func(context.Context, api.HealthRequest) (api.Health, error)
	OnClose         func(context.Context, api.CloseRequest) (api.Closed, error)
	OnOccupancy     func(context.Context, api.OccupancyRequest) (api.Occupancy, error)
	OnOpen          func(context.Context, api.OpenRequest) (api.Closed, error)
	OnReload        func(context.Context, api.ReloadRequest) (api.Plan, error)
	OnDetach        func(context.Context, api.DetachRequest) error
	OnFlipGroup     func(context.Context, api.GroupFlipRequest) (api.GroupFlipResult, error)
	OnRollbackGroup func(context.Context, api.GroupRollbackRequest) (api.GroupFlipResult, error)
	OnStage         func(context.Context, api.StageRequest) (api.Staged, error)
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

func (f *Fake) FlipGroup(ctx context.Context, req api.GroupFlipRequest) (api.GroupFlipResult, error) {
	return f.OnFlipGroup(ctx, req)
}

func (f *Fake) RollbackGroup(ctx context.Context, req api.GroupRollbackRequest) (api.GroupFlipResult, error) {
	return f.OnRollbackGroup(ctx, req)
}

func (f *Fake) Schedule(ctx context.Context, req api.ScheduleRequest) (api.Scheduled, error) {
	return f.OnSchedule(ctx, req)
}

func (f *Fake) Schedules(ctx context.Context, req api.SchedulesRequest) (api.Schedules, error) {
	return f.OnSchedules(ctx, req)
}

func (f *Fake) Unschedule(ctx context.Context, req api.UnscheduleRequest) (api.Schedules, error) {
	return f.OnUnschedule(ctx, req)
}

func (f *Fake) Testers(ctx context.Context, req api.TestersRequest) (api.Testers, error) {
	return f.OnTesters(ctx, req)
}

func (f *Fake) Share(ctx context.Context, req api.ShareRequest) (api.Share, error) {
	return f.OnShare(ctx, req)
}

func (f *Fake) Evict(ctx context.Context, req api.EvictRequest, yield func(api.EvictProgress) error) error {
	return f.OnEvict(ctx, req, yield)
}

func (f *Fake) WatchDrain(ctx context.Context, req api.DrainRequest, yield func(api.DrainProgress) error) error {
	return f.OnDrain(ctx, req, yield)
}

func (f *Fake) Flows(ctx context.Context, filter api.FlowFilter, yield func(api.Flow) error) error {
	return f.OnFlows(ctx, filter, yield)
}

func (f *Fake) Explain(ctx context.Context, req api.ExplainRequest, yield func(api.Explanation) error) error {
	return f.OnExplain(ctx, req, yield)
}

func (f *Fake) Trace(ctx context.Context, req api.TraceRequest, yield func(api.Traced) error) error {
	return f.OnTrace(ctx, req, yield)
}

func (f *Fake) Replay(ctx context.Context, req api.ReplayRequest) (api.Replay, error) {
	return f.OnReplay(ctx, req)
}

func (f *Fake) Drops(ctx context.Context, req api.DropsRequest) (api.Drops, error) {
	return f.OnDrops(ctx, req)
}

func (f *Fake) Plan(ctx context.Context, req api.PlanRequest) (api.Plan, error) {
	return f.OnPlan(ctx, req)
}

func (f *Fake) History(ctx context.Context, req api.HistoryRequest, yield func(journal.Event) error) error {
	return f.OnHistory(ctx, req, yield)
}

func (f *Fake) Stage(ctx context.Context, req api.StageRequest) (api.Staged, error) {
	return f.OnStage(ctx, req)
}

func (f *Fake) Release(ctx context.Context, req api.ReleaseRequest) (api.Release, error) {
	return f.OnRelease(ctx, req)
}

func (f *Fake) SupportBundle(ctx context.Context, req api.SupportBundleRequest) (api.SupportBundle, error) {
	return f.OnBundle(ctx, req)
}

func (f *Fake) Gates(ctx context.Context, req api.GatesRequest) (api.Gates, error) {
	return f.OnGates(ctx, req)
}

func (f *Fake) ReleaseGroup(ctx context.Context, req api.GroupReleaseRequest) (api.GroupReleases, error) {
	return f.OnReleaseGroup(ctx, req)
}

func (f *Fake) Releases(ctx context.Context, req api.ReleasesRequest) (api.Releases, error) {
	return f.OnReleases(ctx, req)
}

func (f *Fake) WatchRelease(ctx context.Context, req api.ReleasesRequest, yield func(api.Release) error) error {
	return f.OnWatch(ctx, req, yield)
}

func (f *Fake) Rehearse(ctx context.Context, req api.RehearseRequest, yield func(api.Rehearsal) error) error {
	return f.OnRehearse(ctx, req, yield)
}

// Verify implements api.Controller.
func (f *Fake) Verify(ctx context.Context, req api.ReleasesRequest) (api.Verification, error) {
	return f.OnVerify(ctx, req)
}

func (f *Fake) PlanRelease(ctx context.Context, req api.ReleasesRequest) (api.ReleasePlan, error) {
	return f.OnOutlook(ctx, req)
}

func (f *Fake) Events(ctx context.Context, req api.EventsRequest, yield func(api.Event) error) error {
	return f.OnEvents(ctx, req, yield)
}

func (f *Fake) Report(ctx context.Context, req api.ReportRequest) (api.Report, error) {
	return f.OnReport(ctx, req)
}

func (f *Fake) Lock(ctx context.Context, req api.LockRequest) (api.Lock, error) {
	return f.OnLock(ctx, req)
}

func (f *Fake) Unlock(ctx context.Context, req api.UnlockRequest) error { return f.OnUnlock(ctx, req) }

func (f *Fake) Health(ctx context.Context, req api.HealthRequest) (api.Health, error) {
	return f.OnHealth(ctx, req)
}

func (f *Fake) Occupancy(ctx context.Context, req api.OccupancyRequest) (api.Occupancy, error) {
	return f.OnOccupancy(ctx, req)
}

func (f *Fake) CloseService(ctx context.Context, req api.CloseRequest) (api.Closed, error) {
	return f.OnClose(ctx, req)
}

func (f *Fake) OpenService(ctx context.Context, req api.OpenRequest) (api.Closed, error) {
	return f.OnOpen(ctx, req)
}

func (f *Fake) Reload(ctx context.Context, req api.ReloadRequest) (api.Plan, error) {
	return f.OnReload(ctx, req)
}

func (f *Fake) Detach(ctx context.Context, req api.DetachRequest) error { return f.OnDetach(ctx, req) }

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

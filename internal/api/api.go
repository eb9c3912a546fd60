// Package api is what the daemon and its clients say to each other: HTTP and
// JSON over a unix socket, one request and one answer type a verb.
//
// A verb that waits or lists is a stream: one JSON document a line. An error
// after a stream's first line is its last line.
package api

import (
	"context"

	"github.com/ebbtide/ebbtide/internal/journal"
)

// Controller does what the verbs ask for. The server calls it from many
// goroutines. Its errors are sent as [Failed] unless they are an [*Error].
type Controller interface {
	// Status is a snapshot; counts of sessions are those of the last sweep.
	Status(ctx context.Context) (Status, error)

	// Flip makes the other generation live. To flip to what is live already
	// is no error: nothing changes and FlipResult.Changed is false.
	Flip(ctx context.Context, req FlipRequest) (FlipResult, error)

	// Rollback makes the generation live that was so before the present one.
	Rollback(ctx context.Context, req RollbackRequest) (FlipResult, error)

	// FlipGroup flips all services of a group, or none; RollbackGroup likewise.
	FlipGroup(ctx context.Context, req GroupFlipRequest) (GroupFlipResult, error)
	RollbackGroup(ctx context.Context, req GroupRollbackRequest) (GroupFlipResult, error)

	// Schedule makes a request for later; Schedules lists them, and Unschedule
	// takes them back, and says which.
	Schedule(ctx context.Context, req ScheduleRequest) (Scheduled, error)
	Schedules(ctx context.Context, req SchedulesRequest) (Schedules, error)
	Unschedule(ctx context.Context, req UnscheduleRequest) (Schedules, error)

	// Testers lists the testers of a service, after it changed them as asked.
	Testers(ctx context.Context, req TestersRequest) (Testers, error)

	// Share says which part of a service's clients goes to the candidate,
	// after it was set when the request says so.
	Share(ctx context.Context, req ShareRequest) (Share, error)

	// Evict marks sessions of a generation in batches, and yields what came of
	// each. Only the last progress has Done set. It ends with its client: what
	// is marked by then moves. An error of yield ends it.
	Evict(ctx context.Context, req EvictRequest, yield func(EvictProgress) error) error

	// WatchDrain yields the progress of every generation asked for, until
	// each is drained or ended. Only the last progress of all has Done set,
	// and there is one even when nothing drains. An error of yield ends it.
	WatchDrain(ctx context.Context, req DrainRequest, yield func(DrainProgress) error) error

	// Flows yields the flows that the filter lets through, in no order that
	// means anything. It is no snapshot. An error of yield ends it.
	Flows(ctx context.Context, filter FlowFilter, yield func(Flow) error) error

	// Explain yields where the packets of a client go and why: of each of his
	// flows, then of a new one to each listener. An error of yield ends it.
	Explain(ctx context.Context, req ExplainRequest, yield func(Explanation) error) error

	// Trace yields what the program does with packets, until the request's end
	// or an upgrade, and last why it ended. One runs at a time. When it
	// returns the program itself is back in its place. An error of yield ends it.
	Trace(ctx context.Context, req TraceRequest, yield func(Traced) error) error

	// Replay says what the program makes of frames, on copies of the maps.
	Replay(ctx context.Context, req ReplayRequest) (Replay, error)

	// Drops counts what was dropped, by reason, twice: it takes the interval
	// that is asked for.
	Drops(ctx context.Context, req DropsRequest) (Drops, error)

	// Stage gives the idle colour of a service a pool, beside the file.
	Stage(ctx context.Context, req StageRequest) (Staged, error)

	// Release begins a release, or says a word to one.
	Release(ctx context.Context, req ReleaseRequest) (Release, error)

	// ReleaseGroup begins a release of each service of a group, which flip in one
	// step, or of none; or says a word to those that are under way.
	ReleaseGroup(ctx context.Context, req GroupReleaseRequest) (GroupReleases, error)

	// Releases lists the releases of a service that are under way, and the last
	// ones that are over.
	Releases(ctx context.Context, req ReleasesRequest) (Releases, error)

	// WatchRelease yields where a release stands whenever that changes, until it
	// is over. Only the last one has Done set. An error of yield ends it.
	WatchRelease(ctx context.Context, req ReleasesRequest, yield func(Release) error) error

	// Verify says whether a release could begin now, and be rolled back.
	Verify(ctx context.Context, req ReleasesRequest) (Verification, error)
	// Rehearse goes through a release without a player noticing, and yields
	// how far it has come.
	Rehearse(ctx context.Context, req RehearseRequest, yield func(Rehearsal) error) error

	// Gates says what the gates of a service's release say.
	Gates(ctx context.Context, req GatesRequest) (Gates, error)

	// PlanRelease says what a release would do, step by step, and does nothing.
	PlanRelease(ctx context.Context, req ReleasesRequest) (ReleasePlan, error)

	// Lock keeps everybody from changing a service, for a time; Unlock ends it.
	Lock(ctx context.Context, req LockRequest) (Lock, error)
	Unlock(ctx context.Context, req UnlockRequest) error

	// Health takes somebody's word for a backend's health.
	Health(ctx context.Context, req HealthRequest) (Health, error)

	// Occupancy takes somebody's word for how many players a backend holds.
	Occupancy(ctx context.Context, req OccupancyRequest) (Occupancy, error)

	// CloseService takes no new sessions of a service, and tells whoever begins
	// one; OpenService takes them again.
	CloseService(ctx context.Context, req CloseRequest) (Closed, error)
	OpenService(ctx context.Context, req OpenRequest) (Closed, error)

	// History yields the events of the journal that are asked for, the oldest
	// first. An error of yield ends it.
	History(ctx context.Context, req HistoryRequest, yield func(journal.Event) error) error

	// Events yields what happens, as it happens: journal events, and where
	// drains stand. The first has nothing in it: the request is good. An error
	// of yield ends it.
	Events(ctx context.Context, req EventsRequest, yield func(Event) error) error

	// Report says what a release did.
	Report(ctx context.Context, req ReportRequest) (Report, error)

	// SupportBundle gives what helps others to find a fault, without secrets.
	SupportBundle(ctx context.Context, req SupportBundleRequest) (SupportBundle, error)

	// Plan says what Reload would change, and changes nothing.
	Plan(ctx context.Context, req PlanRequest) (Plan, error)

	// Reload applies the daemon's configuration file, whole or not at all,
	// and says what it changed.
	Reload(ctx context.Context, req ReloadRequest) (Plan, error)

	// Detach takes everything out of the kernel. The daemon ends afterwards.
	Detach(ctx context.Context, req DetachRequest) error
}

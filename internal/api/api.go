// Package api is what the daemon and its clients say to each other: HTTP and
// JSON over a unix socket, one request and one answer type a verb.
//
// A verb that waits or lists is a stream: one JSON document a line. An error
// after a stream's first line is its last line.
package api

import "context"

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

	// WatchDrain yields the progress of every generation asked for, until
	// each is drained or ended. Only the last progress of all has Done set,
	// and there is one even when nothing drains. An error of yield ends it.
	WatchDrain(ctx context.Context, req DrainRequest, yield func(DrainProgress) error) error

	// Flows yields the flows that the filter lets through, in no order that
	// means anything. It is no snapshot. An error of yield ends it.
	Flows(ctx context.Context, filter FlowFilter, yield func(Flow) error) error

	// Plan says what Reload would change, and changes nothing.
	Plan(ctx context.Context, req PlanRequest) (Plan, error)

	// Reload applies the daemon's configuration file, whole or not at all,
	// and says what it changed.
	Reload(ctx context.Context) (Plan, error)

	// Detach takes everything out of the kernel. The daemon ends afterwards.
	Detach(ctx context.Context) error
}

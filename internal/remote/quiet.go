package remote

import (
	"context"
	"log/slog"
)

// quiet is a log that strangers can't fill: what they cause is told so often and no more.
type quiet struct {
	slog.Handler
	limit *limiter
}

// Handle implements [slog.Handler].
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if !q.limit.allow("") {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler], as does WithGroup.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.limit}
}

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name), q.limit} }

package host

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// Status is what the daemon says.
func (h *Host) Status(tb testing.TB) api.Status {
	tb.Helper()
	st, err := h.Client.Status(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// AwaitHops waits until every backend in use can be reached.
func (h *Host) AwaitHops(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), lab.ForEver)
	defer cancel()
	if err := h.WaitForHops(ctx); err != nil {
		tb.Fatal(err)
	}
}

// WaitForHops waits until every backend in use can be reached: a daemon is ready before, and datagrams are not sent again.
func (h *Host) WaitForHops(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := h.Client.Status(ctx)
		if err != nil {
			return err
		}
		waits := func(g api.Generation) bool { return !Resolved(g) }
		if !slices.ContainsFunc(st.Services, func(s api.Service) bool { return slices.ContainsFunc(s.Generations, waits) }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("backends can't be reached: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Resolved says whether every backend in use of a generation can be reached.
func Resolved(g api.Generation) bool {
	for _, b := range g.Backends {
		for _, hop := range b.NextHops {
			if b.State == api.BackendInUse && hop.State != "resolved" {
				return false
			}
		}
	}
	return true
}

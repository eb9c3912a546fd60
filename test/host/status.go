package host

import (
	"testing"

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
	lab.Eventually(tb, "next hops of all backends", func() bool {
		for _, svc := range h.Status(tb).Services {
			for _, g := range svc.Generations {
				if !Resolved(g) {
					return false
				}
			}
		}
		return true
	})
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

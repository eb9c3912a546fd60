package gate

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Look says whether a reading may judge by the kernel's counts.
type Look int

// The looks. Each but NoLook spends a part of [Alpha].
const (
	NoLook   Look = iota // only to show the figures
	ALook                // one of several
	LastLook             // the window is over: what can't be told by now passes, with a note
)

// Evaluate reads a gate once. Client asks Prometheus and webhooks, within the context's time.
func Evaluate(ctx context.Context, client *http.Client, g config.Gate, f Facts, look Look, now time.Time) Reading {
	var r Reading
	switch {
	case g.Kernel != "":
		r = kernel(g, f, look)
	case g.Health > 0:
		r = health(g, f)
	case g.Prometheus.URL != "":
		r = prometheus(ctx, client, g)
	case g.Webhook != "":
		r = webhook(ctx, client, g, f, now)
	default:
		r = approval(g, f)
	}
	r.Gate, r.OnFail, r.At = g.Name, g.OnFail, now
	return r
}

// health compares how many backends are usable.
func health(g config.Gate, f Facts) Reading {
	r := Reading{Verdict: Pass, Threshold: "at least " + percent(g.Health)}
	if f.Backends == 0 {
		r.Verdict, r.Detail = Fail, "there is no backend"
		return r
	}
	share := float64(f.Usable) / float64(f.Backends)
	r.Value, r.Detail = number(share), fmt.Sprintf("%d of %d backends are usable (%s)", f.Usable, f.Backends, percent(share))
	if share < g.Health {
		r.Verdict = Fail
	}
	return r
}

// approval waits for somebody's word.
func approval(g config.Gate, f Facts) Reading {
	if by, given := f.Approved[g.Name]; given {
		return Reading{Verdict: Pass, Detail: "approved by " + by}
	}
	return Reading{Verdict: Pending, Detail: fmt.Sprintf("waits for %s to approve", g.Approval)}
}

// within says whether a value keeps to a gate's bounds, and how not.
func within(g config.Gate, value float64) (Verdict, string) {
	switch {
	case g.Min != nil && value < g.Min.Value:
		return Fail, fmt.Sprintf("%s is less than %s", figure(value), figure(g.Min.Value))
	case g.Max != nil && value > g.Max.Value:
		return Fail, fmt.Sprintf("%s is more than %s", figure(value), figure(g.Max.Value))
	}
	return Pass, figure(value) + " is within the threshold"
}

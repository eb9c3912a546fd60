package control

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// Drops reads the counts by reason twice, an interval apart. Nothing is read while nobody asks.
func (c *Controller) Drops(ctx context.Context, req api.DropsRequest) (api.Drops, error) {
	before, err := c.Reasons()
	if err != nil {
		return api.Drops{}, err
	}
	begin := c.opt.Now()
	timer := time.NewTimer(req.Interval())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return api.Drops{}, context.Cause(ctx)
	case <-timer.C:
	}
	after, err := c.Reasons()
	if err != nil {
		return api.Drops{}, err
	}
	return drops(before, after, c.opt.Now().Sub(begin), req.All)
}

// drops puts counts into words. All: those that say nothing, too.
func drops(before, after map[string]uint64, over time.Duration, all bool) (api.Drops, error) {
	out := api.Drops{IntervalSeconds: over.Seconds(), Reasons: []api.Reason{}}
	for _, text := range kernel.ReasonTexts() {
		name, err := kernel.ReasonName(text.Reason)
		if err != nil {
			return api.Drops{}, err
		}
		n := after[name]
		if !all && (n == 0 || strings.HasPrefix(name, "pass_")) {
			continue
		}
		out.Reasons = append(out.Reasons, api.Reason{
			Reason: name, Count: n, RatePerSecond: rate(before[name], n, over), Meaning: text.Meaning, Advice: text.Advice,
		})
	}
	slices.SortStableFunc(out.Reasons, func(a, b api.Reason) int { return cmp.Compare(kindOf(a.Reason), kindOf(b.Reason)) })
	return out, nil
}

// rate of a count that only grows: one that is smaller than before was begun anew by an upgrade meanwhile.
func rate(before, after uint64, over time.Duration) float64 {
	if after < before {
		before = 0
	}
	return float64(after-before) / over.Seconds()
}

// kindOf a reason is its place in a list: what was dropped comes first.
func kindOf(name string) int {
	kind, _, _ := strings.Cut(name, "_")
	return slices.Index([]string{"drop", "event", "pass"}, kind)
}

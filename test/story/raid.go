package story

import (
	"context"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// raidChapter: testers first, then steps, each held by a gate that waits for somebody's word.
func (s *Story) raidChapter(ctx context.Context) error {
	c := s.cast("raid", raid)
	defer c.fleet.Close()
	brave := s.newcomers(2)
	add := api.TestersRequest{Service: "raid", Add: []string{brave[0].String(), brave[1].String()}}
	if _, err := s.host.Client.Testers(ctx, add); err != nil {
		return err
	}
	early := c.login(ctx, 20)
	testers := c.loginFrom(ctx, brave...)
	s.promise(sides(early)["blue"] == 20 && sides(testers)["green"] == 2, "raid", "before the release players are on %v, testers on %v", sides(early), sides(testers))
	r, err := s.release(ctx, "raid", "stepping")
	if err != nil {
		return err
	}
	for step := 1; step <= r.Steps; step++ {
		if r, err = s.comes(ctx, "raid", r.Number, func(r api.Release) bool { return r.Step == step }); err != nil {
			return err
		}
		s.say("raid", "step %d of %d; the raid's lead approves", step, r.Steps)
		if _, err := s.host.Client.Release(ctx, api.ReleaseRequest{Service: "raid", Do: api.ReleaseApprove, Gate: "raid-lead"}); err != nil {
			return err
		}
	}
	if r, err = s.comes(ctx, "raid", r.Number, func(r api.Release) bool { return r.State == "baking" }); err != nil {
		return err
	}
	flipped := time.Now()
	if _, err := s.host.Client.Release(ctx, api.ReleaseRequest{Service: "raid", Do: api.ReleaseApprove, Gate: "raid-lead"}); err != nil {
		return err
	}
	late := c.login(ctx, 10)
	s.promise(sides(late)["green"] == 10, "raid", "10 newcomers after the flip are on %v", sides(late))
	for _, p := range early {
		p.Exchange(2)
		p.Logout()
	}
	if _, err := s.comes(ctx, "raid", r.Number, func(r api.Release) bool { return r.State == "done" }); err != nil {
		return err
	}
	c.fleet.Exchange(2)
	totals := c.fleet.Totals()
	onBlue := c.fleet.OpenedAfter(flipped, &s.world.Log)["blue"]
	s.promise(totals.Broken == 0, "raid", "%d players broken: %q", totals.Broken, totals.Reasons)
	s.promise(onBlue == 0, "raid", "%d sessions began on blue after the flip", onBlue)
	s.figure("raid", "canary: players %d · broken %d · new sessions on blue after the flip %d", totals.Players, totals.Broken, onBlue)
	return nil
}

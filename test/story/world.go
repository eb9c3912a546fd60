package story

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
)

// worldChapter: new sessions go to green; who plays on blue plays on, until the last three are told, and moved at the
// deadline. Then green is stable, and the next version is staged on blue.
func (s *Story) worldChapter(ctx context.Context) error {
	c := s.cast("world", world)
	defer c.fleet.Close()
	afk := c.login(ctx, stragglers)
	a, b := c.login(ctx, 1)[0], c.login(ctx, 1)[0]
	crowd := c.login(ctx, 20)
	s.say("world", "25 players are on blue (1.9)")
	r, err := s.release(ctx, "world", "baking")
	if err != nil {
		return err
	}
	flipped := time.Now()
	crowdAfter := c.login(ctx, 10)
	s.promise(sides(crowdAfter)["green"] == 10, "world", "10 newcomers after the flip are on %v", sides(crowdAfter))
	var leaving sync.WaitGroup
	for _, p := range crowd {
		leaving.Go(func() {
			p.Exchange(2)
			p.Logout()
		})
	}
	leaving.Wait()
	if err := s.travel(ctx, c, a, b); err != nil {
		return err
	}
	s.say("world", "all but %d have left blue", stragglers)
	if r, err = s.comes(ctx, "world", r.Number, func(r api.Release) bool { return r.Notices > 0 && r.State != "noticing" }); err != nil {
		return err
	}
	if err := s.wereTold(afk); err != nil {
		return err
	}
	before, _ := cutOff(afk)
	s.promise(before == 0, "world", "%d of those who were told were cut before the deadline", before)
	if _, err = s.comes(ctx, "world", r.Number, func(r api.Release) bool { return r.State == "done" }); err != nil {
		return err
	}
	return s.promoted(ctx, c, afk, flipped)
}

// travel: A logs out and in; B, whose session is all that he does, travels when it has ended.
func (s *Story) travel(ctx context.Context, c *cast, a, b *game.Player) error {
	who := map[string]*game.Player{"player A logs out and in": a, "player B travels to another zone": b}
	for _, p := range who {
		p.Exchange(2)
		p.Logout()
	}
	for name, p := range who {
		from := p.Reports()[0].Client.Addr()
		if err := s.gone(ctx, "world", from); err != nil {
			return err
		}
		again := c.loginFrom(ctx, from)
		s.promise(sides(again)["green"] == 1, "world", "%s: he is on %v", name, sides(again))
		s.say("world", "%s: green", name)
	}
	return nil
}

// gone waits until the kernel has no flow and no session of a client.
func (s *Story) gone(ctx context.Context, service string, client netip.Addr) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		left := 0
		err := s.host.Client.Flows(ctx, api.FlowFilter{Service: service, Client: client.String()}, func(api.Flow) error { left++; return nil })
		if left == 0 || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d flows of %s do not end: %w", service, left, client, ctx.Err())
		case <-tick.C:
		}
	}
}

// wereTold compares the notice with who is left.
func (s *Story) wereTold(afk []*game.Player) error {
	calls, err := s.calls("world", "notice")
	if err != nil {
		return err
	}
	told := map[netip.Addr]bool{}
	for _, call := range calls {
		for _, l := range call.Left {
			if ap, err := netip.ParseAddrPort(l.Client); err == nil {
				told[ap.Addr()] = true
			}
		}
	}
	for _, p := range afk {
		at := p.Reports()[0].Client.Addr()
		s.promise(told[at], "world", "%s is left on blue and was not told", at)
	}
	s.promise(len(told) == len(afk), "world", "%d clients were told, %d are left", len(told), len(afk))
	s.say("world", "a gentle notice to the last %d", len(told))
	return nil
}

// promoted: those who stayed were moved, and nobody else noticed anything.
func (s *Story) promoted(ctx context.Context, c *cast, afk []*game.Player, flipped time.Time) error {
	moved, silent := cutOff(afk)
	s.promise(moved == len(afk) && silent == 0, "world", "%d of %d were moved at the deadline, %d of them in silence", moved, len(afk), silent)
	back := map[string]int{}
	for _, p := range afk {
		from := p.Reports()[0].Client.Addr()
		p.Reset()
		back["green"] += sides(c.loginFrom(ctx, from))["green"]
	}
	s.promise(back["green"] == len(afk), "world", "%d of %d who were moved are on green", back["green"], len(afk))
	c.fleet.Exchange(2)
	totals := c.fleet.Totals()
	s.promise(totals.Broken == moved, "world", "%d players were broken beside those %d: %q", totals.Broken-moved, moved, totals.Reasons)
	onBlue := c.fleet.OpenedAfter(flipped, &s.world.Log)["blue"]
	s.promise(onBlue == 0, "world", "%d sessions began on blue after the flip", onBlue)
	for _, transition := range []string{"retire", "backup", "clone", "stage"} {
		calls, err := s.calls("world", transition)
		if err != nil {
			return err
		}
		s.promise(len(calls) == 1, "world", "the hook of %s ran %d times", transition, len(calls))
	}
	if err := s.host.Configure(s.yaml("2.1")); err != nil {
		return err
	}
	if _, err := s.host.Client.Reload(ctx, api.ReloadRequest{}); err != nil {
		return err
	}
	s.say("world", "green is stable; 2.1 is staged on blue")
	s.figure("world", "session: players %d · moved at the deadline, and told before %d · broken otherwise %d · new sessions on blue after the flip %d",
		totals.Players, moved, totals.Broken-moved, onBlue)
	return nil
}

package story

import (
	"context"

	"github.com/ebbtide/ebbtide/internal/api"
)

// paymentsChapter: all at once, and, when the gate fails, all back at once.
func (s *Story) paymentsChapter(ctx context.Context) error {
	c := s.cast("payments", payments)
	defer c.fleet.Close()
	told := 0
	for _, good := range []bool{false, true} {
		s.quality.verdict.Store(map[bool]string{false: "fail", true: "pass"}[good])
		first := c.login(ctx, 10)
		r, err := s.host.Client.Release(ctx, api.ReleaseRequest{Service: "payments", Do: api.ReleaseStart})
		if err != nil {
			return err
		}
		s.say("payments", "release %d begins; the books balance: %t", r.Number, good)
		if _, err := s.comes(ctx, "payments", r.Number, func(r api.Release) bool { return r.State == "baking" }); err != nil {
			return err
		}
		second := c.login(ctx, 5)
		end := "done"
		if !good {
			end = "rolled-back"
		}
		if _, err := s.comes(ctx, "payments", r.Number, func(r api.Release) bool { return r.State == end }); err != nil {
			return err
		}
		home := map[bool]string{false: "blue", true: "green"}[good]
		third := c.login(ctx, 3)
		s.promise(sides(third)[home] == 3, "payments", "after a release that ended as %s newcomers are on %v", end, sides(third))
		moved, silent := cutOff(first)
		again, silentAgain := cutOff(second)
		if good {
			s.promise(again == 0, "payments", "%d sessions of the new version were moved though its gate passed", again)
		}
		s.promise(moved == len(first) && silent+silentAgain == 0, "payments", "%d of %d sessions were moved, %d of all in silence", moved, len(first), silent+silentAgain)
		told += moved + again
		c.fleet.Reset(len(c.fleet.Playing()))
	}
	s.figure("payments", "instant: rolled back once by its gate, then done · sessions moved, each told by a RST %d", told)
	return nil
}

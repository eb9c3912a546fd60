package story

import (
	"context"
	"errors"
	"net/netip"
	"syscall"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
)

// infraChapter: a maintenance window. Who comes is told; who stays too long is moved, and told.
func (s *Story) infraChapter(ctx context.Context) error {
	c := s.cast("infra", infra)
	defer c.fleet.Close()
	leaving, staying := c.login(ctx, 4), c.login(ctx, 2)
	r, err := s.release(ctx, "infra", "emptying")
	if err != nil {
		return err
	}
	refused := 0
	for _, from := range s.newcomers(3) {
		_, err := game.Open(ctx, s.lab.Client, netip.AddrPortFrom(from, 0), infra[0])
		if errors.Is(err, syscall.ECONNREFUSED) {
			refused++
		}
		s.promise(errors.Is(err, syscall.ECONNREFUSED), "infra", "a newcomer in the window was told %v", err)
	}
	s.say("infra", "the window is open: %d newcomers were told that it is busy", refused)
	for _, p := range leaving {
		p.Exchange(2)
		p.Logout()
	}
	if _, err := s.comes(ctx, "infra", r.Number, func(r api.Release) bool { return r.State == "done" }); err != nil {
		return err
	}
	moved, silent := cutOff(staying)
	left, _ := cutOff(leaving)
	s.promise(left == 0, "infra", "%d who left by themselves were cut", left)
	s.promise(moved == len(staying) && silent == 0, "infra", "%d of %d who stayed were ended at the window's end, %d in silence", moved, len(staying), silent)
	again := c.login(ctx, 3)
	s.promise(sides(again)["blue"] == 3, "infra", "after the window newcomers are on %v", sides(again))
	updates, err := s.calls("infra", "update")
	if err != nil {
		return err
	}
	s.promise(len(updates) == 1, "infra", "the update ran %d times", len(updates))
	s.figure("infra", "in-place: newcomers told in the window %d · ended at its end, each told by a RST %d", refused, moved)
	return nil
}

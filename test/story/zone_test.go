package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// traveller is player B on a service with an affinity, and where the zone is that he enters while he is logged in.
type traveller struct {
	service, affinity, enters string
	at                        []game.Endpoint // login, and the zones
}

var travellers = []traveller{
	{"flows", "flow", "green", []game.Endpoint{game.TCP(lab.VIP4, 7777), game.UDP(lab.VIP4, 7777)}},
	{"clients", "client", "blue", []game.Endpoint{game.TCP(lab.VIP4, 7778), game.UDP(lab.VIP4, 7778)}},
	{"pools", "{client: pool}", "blue", []game.Endpoint{game.TCP(lab.VIP4, 7779), game.UDP(lab.VIP4, 7779)}},
}

// Player B travels to a new zone after the flip: a new flow of a client who plays on. It goes to green where a session is a
// flow. Where it is all that the client does, it goes to green when his session has ended, and not before.
func TestATravellerGoesToGreenWhereHisSessionEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*lab.ForEver)
	defer cancel()
	s := mustTell(t)
	var at []game.Endpoint
	var chapters []func(context.Context) error
	for _, b := range travellers {
		at = append(at, b.at...)
		chapters = append(chapters, func(ctx context.Context) error { return b.travel(ctx, s) })
	}
	err := s.build(ctx, lab.Options{}, at, func() string {
		var yaml strings.Builder
		fmt.Fprintf(&yaml, "interfaces: [%s]\nmax_flows: 65536\nservices:\n", strings.Join(s.lab.Interfaces(), ", "))
		for _, b := range travellers {
			s.service(&yaml, b.service, b.at, "1.9", "2.0", fmt.Sprintf("\n    affinity: %s\n    release: {bake: 1s}", b.affinity))
		}
		// The flip is long over when a slow machine has come to the zone.
		return strings.ReplaceAll(yaml.String(), "linger_cap: 15s", "linger_cap: 10m")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(together(ctx, chapters), s.judge()); err != nil {
		t.Error(err)
	}
}

func (b traveller) travel(ctx context.Context, s *Story) error {
	c := s.cast(b.service, b.at)
	defer c.fleet.Close()
	player := c.login(ctx, 1)[0]
	s.promise(sides([]*game.Player{player})["blue"] == 1, b.service, "before the flip he is on %v", sides([]*game.Player{player}))
	r, err := s.release(ctx, b.service, "draining")
	if err != nil {
		return err
	}
	player.Exchange(2)
	chat, zone := player.Sessions()[0], player.Sessions()[1]
	zone.Logout()
	from := zone.Report().Client.Addr()
	next, err := game.Open(ctx, s.lab.Client, netip.AddrPortFrom(from, 0), b.at[1])
	if err != nil {
		return err
	}
	defer next.Reset()
	if err := next.Ask(); err != nil {
		return err
	}
	s.promise(next.Report().Colour == b.enters, b.service, "the zone that he enters is %s, want %s", next.Report().Colour, b.enters)
	next.Play(50 * time.Millisecond)
	chat.Exchange(2)
	next.Exchange(2)
	s.promise(chat.Report().Colour == "blue" && len(next.Report().Broken) == 0, b.service, "his login is on %s, his zone %q", chat.Report().Colour, next.Report().Broken)
	next.Logout()
	player.Logout()
	if err := s.gone(ctx, b.service, from); err != nil {
		return err
	}
	again := c.loginFrom(ctx, from)
	s.promise(sides(again)["green"] == 1, b.service, "when his session has ended he is on %v", sides(again))
	if _, err := s.comes(ctx, b.service, r.Number, func(r api.Release) bool { return r.State == "done" }); err != nil {
		return err
	}
	again[0].Exchange(2)
	totals := c.fleet.Totals()
	s.promise(totals.Broken == 0, b.service, "he is broken: %q", totals.Reasons)
	s.figure(b.service, "affinity %s: the zone entered while logged in is %s, then green · broken %d", b.affinity, next.Report().Colour, totals.Broken)
	return nil
}

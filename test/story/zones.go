package story

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/test/game"
)

// zonesChapter: zone server by zone server. Players zone on, and each zone entered is a new session.
func (s *Story) zonesChapter(ctx context.Context) error {
	c := s.cast("zones", zones)
	defer c.fleet.Close()
	homes := s.newcomers(12)
	players := c.loginFrom(ctx, homes...)
	r, err := s.release(ctx, "zones", "emptying")
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	zoning := make(chan []*game.Player)
	go func() { zoning <- s.zoneOn(ctx, c, homes, players, stop) }()
	_, err = s.comes(ctx, "zones", r.Number, func(r api.Release) bool { return r.State == "done" })
	close(stop)
	<-zoning
	if err != nil {
		return err
	}
	c.fleet.Exchange(2)
	totals := c.fleet.Totals()
	s.promise(totals.Broken == 0, "zones", "%d players broken: %q", totals.Broken, totals.Reasons)
	updates, err := s.calls("zones", "update")
	if err != nil {
		return err
	}
	s.promise(len(updates) == 2, "zones", "%d batches were updated, want 2", len(updates))
	touched := s.whileUpdated(c, updates)
	s.promise(touched == 0, "zones", "%d sessions began on a server while it was updated", touched)
	s.figure("zones", "rolling: zones entered %d · broken %d · sessions that began on a server while it was updated %d", totals.Players, totals.Broken, touched)
	return nil
}

// zoneOn lets players leave their zone for another, one after the other. Who does has another port: it is a new session.
func (s *Story) zoneOn(ctx context.Context, c *cast, homes []netip.Addr, players []*game.Player, stop <-chan struct{}) []*game.Player {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return players
		case <-ctx.Done():
			return players
		case <-time.After(200 * time.Millisecond):
		}
		p := players[i%len(players)]
		if why := p.Broken(); len(why) == 0 {
			p.Exchange(1)
		} else {
			s.say("zones", "a player is broken: %q", why)
		}
		p.Logout()
		players[i%len(players)] = c.loginFrom(ctx, homes[i%len(homes)])[0]
	}
}

// whileUpdated counts sessions that a server accepted while it was updated, by its own accept log. The second of the hooks
// takes a second: the server is out for longer than that.
func (s *Story) whileUpdated(c *cast, updates []hook.Call) (n int) {
	for _, call := range updates {
		for _, a := range s.world.Log.Since(call.At) {
			if a.Time.Before(call.At.Add(updateTime)) && a.Network == "udp" && s.isOneOf(a.Backend, call.Backends) && slices.Contains(c.addresses, a.Client.Addr()) {
				n++
			}
		}
	}
	return n
}

// isOneOf says whether a backend has one of these addresses.
func (s *Story) isOneOf(name string, addresses []string) bool {
	for _, b := range s.lab.Backends {
		if b.Name == name {
			return slices.ContainsFunc(addresses, func(a string) bool { return strings.Contains(a, b.V4.String()) })
		}
	}
	return false
}

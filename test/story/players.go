package story

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
)

// cast is the players of one service.
type cast struct {
	s       *Story
	service string
	fleet   *game.Fleet
	role    game.Role

	mu        sync.Mutex
	addresses []netip.Addr // that they came from
}

func (s *Story) cast(service string, at []game.Endpoint) *cast {
	return &cast{s: s, service: service, fleet: game.NewFleet(s.lab.Client), role: game.Role{Endpoints: at, ChatTick: 200 * time.Millisecond, StateTick: 50 * time.Millisecond}}
}

// login lets n players in, each from an address of his own.
func (c *cast) login(ctx context.Context, n int) []*game.Player {
	return c.loginFrom(ctx, c.s.newcomers(n)...)
}

func (c *cast) loginFrom(ctx context.Context, from ...netip.Addr) (players []*game.Player) {
	c.mu.Lock()
	c.addresses = append(c.addresses, from...)
	c.mu.Unlock()
	for _, a := range from {
		role := c.role
		role.From = []netip.Addr{a}
		players = append(players, c.fleet.Add(ctx, 1, role)...)
	}
	return players
}

// sides counts players by the colour that all their sessions are on; those who are on two are under "both".
func sides(players []*game.Player) map[string]int {
	out := map[string]int{}
	for _, p := range players {
		colour := ""
		for _, r := range p.Reports() {
			if colour != "" && colour != r.Colour {
				colour = "both"
				break
			}
			colour = r.Colour
		}
		out[colour]++
	}
	return out
}

// cutOff counts players who were broken, and of those the ones who were not told: by a RST, an ICMP error or a server that
// does not know them, but by silence.
func cutOff(players []*game.Player) (broken, silent int) {
	for _, p := range players {
		p.Exchange(1) // a player hears of it with what he sends next
		why := p.Broken()
		if len(why) == 0 {
			continue
		}
		broken++
		for _, w := range why {
			if strings.Contains(w, "no answer") || strings.Contains(w, "timeout") {
				silent++
				break
			}
		}
	}
	return broken, silent
}

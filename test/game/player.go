package game

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// The ticks that a player has unless told otherwise.
const (
	DefaultChatTick  = time.Second
	DefaultStateTick = 50 * time.Millisecond
)

// Role is what a kind of player does.
type Role struct {
	// Endpoints are played at once, one session each.
	Endpoints []Endpoint
	// ChatTick and StateTick are the times between requests over TCP and UDP;
	// zero means the default.
	ChatTick, StateTick time.Duration
	// Patience is as in [Session]; zero means the default.
	Patience time.Duration
	// From are the addresses that players come from in turn, each endpoint
	// from one of its family; empty leaves it to the kernel.
	From []netip.Addr
}

// tick is the role's tick on a network.
func (r Role) tick(network string) time.Duration {
	tick, fallback := r.ChatTick, DefaultChatTick
	if network == "udp" {
		tick, fallback = r.StateTick, DefaultStateTick
	}
	if tick == 0 {
		return fallback
	}
	return tick
}

// from is the address that player n comes from to an endpoint.
func (r Role) from(n int, to Endpoint) netip.AddrPort {
	var family []netip.Addr
	for _, a := range r.From {
		if a.Is4() == to.Addr.Addr().Is4() {
			family = append(family, a)
		}
	}
	if len(family) == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(family[n%len(family)], 0)
}

// Player is one who plays: sessions that log in and out together.
type Player struct {
	sessions []*Session
	failed   []string // logins that came to nothing
}

// Start logs a player in at every endpoint of its role, one after the other,
// and lets it play. ctx bounds connecting only. A login that fails breaks the
// player; it is not an error of the caller's.
func Start(ctx context.Context, host Dialer, n int, role Role) *Player {
	p := &Player{}
	for _, to := range role.Endpoints {
		s, err := Open(ctx, host, role.from(n, to), to)
		if err != nil {
			p.failed = append(p.failed, fmt.Sprintf("login: %v", err))
			continue
		}
		if role.Patience != 0 {
			s.Patience = role.Patience
		}
		p.sessions = append(p.sessions, s)
		if s.Ask() == nil {
			s.Play(role.tick(to.Network))
		}
	}
	return p
}

// Logout ends all sessions, one after the other, as players do.
func (p *Player) Logout() {
	for _, s := range p.sessions {
		s.Logout()
	}
}

// Exchange waits for n more answers to each session; see [Session.Exchange].
func (p *Player) Exchange(n uint64) {
	for _, s := range p.sessions {
		s.Exchange(n)
	}
}

// Sessions are the player's, in the order of the endpoints.
func (p *Player) Sessions() []*Session { return p.sessions }

// Reset ends all sessions as a killed process does.
func (p *Player) Reset() {
	for _, s := range p.sessions {
		s.Reset()
	}
}

// Reports are what the player's sessions saw, in the order of the endpoints.
func (p *Player) Reports() []Report {
	var reports []Report
	for _, s := range p.sessions {
		reports = append(reports, s.Report())
	}
	return reports
}

// Broken says what broke the player, empty if nothing did.
func (p *Player) Broken() []string {
	broken := slices.Clone(p.failed)
	for _, r := range p.Reports() {
		for _, reason := range r.Broken {
			broken = append(broken, fmt.Sprintf("%s %s: %s", r.Network, r.Client, reason))
		}
	}
	return broken
}

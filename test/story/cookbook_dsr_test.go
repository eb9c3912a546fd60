package story

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// The recipes in dsr: a shooter and an MMORPG, released as their pages say.
func TestTheCookbooksGamesAreReleased(t *testing.T) {
	t.Parallel()
	shooter := netip.MustParseAddr("203.0.113.20")
	matches := []game.Endpoint{game.UDP(shooter, 27015), game.UDP(shooter, 27022), game.UDP(shooter, 27030)}
	realm := []game.Endpoint{game.TCP(lab.VIP4, 7777), game.UDP(lab.VIP4, 7777), game.UDP(lab.VIP4, 7800)}
	both := map[string]string{"10.0.0.11": "blue1", "10.0.0.12": "blue2", "10.0.1.11": "green1", "10.0.1.12": "green2"}
	list := []recipe{
		{title: "A UDP shooter", service: "shooter", servers: both, here: []string{
			"udp: 90s, udp_new: 10s", "udp: 6s, udp_new: 6s", "bake: 10m", "bake: 1s",
			"{kernel: new_sessions, on", "{kernel: new_sessions, window: 5s, on", "{kernel: never_established, on", "{kernel: never_established, window: 5s, on",
		}, play: func(ctx context.Context, k *kitchen) error { return k.shoot(ctx, matches) }},
		{title: "An MMORPG", service: "world", servers: both, here: []string{
			"tcp: 15m, udp: 2m, linger: 2m", "tcp: 15m, tcp_half_open: 5s, tcp_closing: 2s, udp: 6s, udp_new: 6s, linger: 15s",
			"testers: [198.51.100.0/24]", "testers: [198.51.100.250]", "bake: 15m", "bake: 1s", "deadline: 2h", "deadline: 40s", "-10m", "-5s", "every: 5m", "every: 1m",
			"{kernel: resets, on", "{kernel: resets, window: 5s, on", "{kernel: new_sessions, on", "{kernel: new_sessions, window: 5s, on",
			"/usr/local/bin/say-goodbye", "HOOK", "/usr/local/bin/snapshot, world", "HOOK",
			`cron: "0 18 * * 5"`, fmt.Sprintf(`cron: "0 18 * * %d"`, (time.Now().Weekday()+3)%7), // a weekend that is not now
		}, play: func(ctx context.Context, k *kitchen) error { return k.live(ctx, realm) }},
	}
	topology := lab.Options{VIPs: []netip.Addr{lab.VIP4, shooter}}
	cook(t, topology, append(matches, realm...), list, func(k *kitchen) error {
		for _, b := range k.lab.Backends {
			_, pong, err := answerer(b, "udp", 27015)
			if err != nil {
				return err
			}
			t.Cleanup(func() { pong.Close() })
			door, _, err := answerer(b, "tcp", 7777)
			if err != nil {
				return err
			}
			t.Cleanup(func() { door.Close() })
		}
		return nil
	})
}

// shoot: the wait for the release ends with the last match on the old version, and nobody is moved.
func (k *kitchen) shoot(ctx context.Context, at []game.Endpoint) error {
	c := k.cast("shooter", at)
	defer c.fleet.Close()
	enough := c.visitors(ctx, 200*time.Millisecond, func() []netip.Addr { return nil })
	defer enough()
	matches := c.login(ctx, 6)
	k.promise(sides(matches)["blue"] == 6, "shooter", "before the release matches are on %v", sides(matches))
	r, err := k.release(ctx, "shooter", "baking")
	if err != nil {
		return err
	}
	flipped := time.Now()
	next := c.login(ctx, 4)
	k.promise(sides(next)["green"] == 4, "shooter", "matches after the flip are on %v", sides(next))
	if err := k.until(ctx, "shooter", r, "draining"); err != nil {
		return err
	}
	logout(matches[1:])
	matches[0].Exchange(20)
	if r, err = k.comes(ctx, "shooter", r.Number, func(api.Release) bool { return true }); err != nil {
		return err
	}
	k.promise(r.State == "draining", "shooter", "the release is %s while a match lasts", r.State)
	logout(matches[:1])
	if err := k.until(ctx, "shooter", r, "done"); err != nil {
		return err
	}
	enough()
	c.fleet.Exchange(2)
	totals, onBlue := c.fleet.Totals(), c.fleet.OpenedAfter(flipped, &k.world.Log)["blue"]
	k.promise(totals.Broken == 0, "shooter", "%d players broken: %q", totals.Broken, totals.Reasons)
	k.promise(onBlue == 0, "shooter", "%d sessions began on blue after the flip", onBlue)
	k.figure("shooter", "players %d · broken %d · new sessions on blue after the flip %d", totals.Players, totals.Broken, onBlue)
	return nil
}

// live: those who are left are told, by the hook, and moved at the deadline; each player is on one server with all that he does.
func (k *kitchen) live(ctx context.Context, at []game.Endpoint) error {
	c := k.cast("world", at)
	defer c.fleet.Close()
	enough := c.visitors(ctx, time.Second, func() []netip.Addr { return k.newcomers(1) })
	defer enough()
	staying, leaving := c.login(ctx, 2), c.login(ctx, 6)
	k.oneServerEach(append(staying, leaving...))
	r, err := k.release(ctx, "world", "baking")
	if err != nil {
		return err
	}
	flipped := time.Now()
	next := c.login(ctx, 6)
	k.promise(sides(next)["green"] == 6, "world", "newcomers after the flip are on %v", sides(next))
	k.oneServerEach(next)
	logout(leaving)
	if r, err = k.comes(ctx, "world", r.Number, func(r api.Release) bool { return r.Notices > 0 && r.State != "noticing" }); err != nil {
		return err
	}
	if err := k.wereTold(staying); err != nil {
		return err
	}
	if err := k.until(ctx, "world", r, "done"); err != nil {
		return err
	}
	enough()
	moved, silent := cutOff(staying)
	k.promise(moved == 2 && silent == 0, "world", "%d of 2 were moved at the deadline, %d in silence", moved, silent)
	c.fleet.Exchange(2)
	totals, onBlue := c.fleet.Totals(), c.fleet.OpenedAfter(flipped, &k.world.Log)["blue"]
	k.promise(totals.Broken == moved, "world", "%d players broken: %q", totals.Broken, totals.Reasons)
	k.promise(onBlue == 0, "world", "%d sessions began on blue after the flip", onBlue)
	backups, err := k.calls("world", "backup")
	k.promise(len(backups) == 1, "world", "the backup ran %d times", len(backups))
	k.figure("world", "players %d · told, then moved %d · broken otherwise %d · new sessions on blue after the flip %d", totals.Players, moved, totals.Broken-moved, onBlue)
	return err
}

// oneServerEach looks whether each player is on one server with all that he does.
func (k *kitchen) oneServerEach(players []*game.Player) {
	for _, p := range players {
		met := map[string]bool{}
		for _, r := range p.Reports() {
			met[r.Backend] = true
		}
		k.promise(len(met) == 1, "world", "a player is on %v", met)
	}
}

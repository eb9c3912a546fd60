package story

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

// A maintenance window with a lobby on the idle colour: who comes waits there, who plays plays on, over a crash of the daemon,
// too. When the service is open again newcomers come home, and guests of the lobby when their session ends, or is ended.
func TestALobbyTakesWhoComesInAMaintenanceWindow(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*lab.ForEver)
	defer cancel()
	s := mustTell(t)
	at := []game.Endpoint{game.TCP(lab.VIP4, 7777), game.UDP(lab.VIP4, 7777)}
	err := s.build(ctx, lab.Options{}, at, func() string {
		var yaml strings.Builder
		fmt.Fprintf(&yaml, "interfaces: [%s]\nmax_flows: 65536\nservices:\n", strings.Join(s.lab.Interfaces(), ", "))
		s.service(&yaml, "world", at, "1.9", "lobby", "\n    affinity: client\n    strategy: in-place\n    release: {busy: pool}")
		return yaml.String()
	})
	if err != nil {
		t.Fatal(err)
	}
	c := s.cast("world", at)
	defer c.fleet.Close()
	mustMeet := func(when, colour string, players ...*game.Player) {
		t.Helper()
		if on := sides(players); on[colour] != len(players) {
			t.Errorf("%s: players are on %v, want %s", when, on, colour)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	playing := c.login(ctx, 3)
	mustMeet("before the window", "blue", playing...)
	r, err := s.release(ctx, "world", "emptying")
	must(err)
	guests := c.login(ctx, 3)
	mustMeet("in the window", "green", guests...)
	if _, err := s.host.Client.Flip(ctx, api.FlipRequest{Service: "world"}); err == nil || !strings.Contains(err.Error(), "release 1 closes and opens it") {
		t.Errorf("a flip in the window: %v, want it refused", err)
	}
	must(s.host.Kill())
	late := c.login(ctx, 1)
	must(s.host.Start(ctx))
	late = append(late, c.login(ctx, 1)...)
	mustMeet("while the daemon is dead, and after it", "green", late...)
	logout(playing)
	_, err = s.comes(ctx, "world", r.Number, func(r api.Release) bool { return r.State == "done" })
	must(err)
	mustMeet("when it is open again", "blue", c.login(ctx, 3)...)
	c.fleet.Exchange(2)
	if totals := c.fleet.Totals(); totals.Broken != 0 {
		t.Errorf("%d of %d players are broken: %q", totals.Broken, totals.Players, totals.Reasons)
	}

	logout(guests)
	from := guests[0].Reports()[0].Client.Addr()
	must(s.gone(ctx, "world", from))
	mustMeet("a guest whose session has ended", "blue", c.loginFrom(ctx, from)...)
	lobby := api.EvictRequest{Service: "world", Generation: 2, Batch: 10, EverySeconds: 0.1}
	must(s.host.Client.Evict(ctx, lobby, func(api.EvictProgress) error { return nil }))
	if cut, silent := cutOff(late); cut != len(late) || silent != 0 {
		t.Errorf("of %d guests %d were evicted, %d in silence", len(late), cut, silent)
	}
	from = late[0].Reports()[0].Client.Addr()
	late[0].Reset()
	mustMeet("a guest who was evicted", "blue", c.loginFrom(ctx, from)...)

	r, err = s.release(ctx, "world", "emptying")
	must(err)
	mustMeet("in a second window", "green", c.login(ctx, 1)...)
	res, err := s.host.Client.Rollback(ctx, api.RollbackRequest{Service: "world"})
	must(err)
	if res.Live.Number != 1 || !res.Changed {
		t.Errorf("the rollback: %+v", res)
	}
	_, err = s.comes(ctx, "world", r.Number, func(r api.Release) bool { return r.State == "rolled-back" })
	must(err)
	mustMeet("after the second window was taken back", "blue", c.login(ctx, 2)...)
	c.fleet.Exchange(2)
	if totals := c.fleet.Totals(); totals.Broken != len(late) {
		t.Errorf("%d of %d players are broken, want those %d who were evicted: %q", totals.Broken, totals.Players, len(late), totals.Reasons)
	}
}

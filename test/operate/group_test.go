package operate

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

// pair is a stage with a second service, login, in a group with the first.
type pair struct {
	*stage
	login2 []game.Endpoint
}

func mustPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{mustStage(t, setting{}), []game.Endpoint{game.TCP(lab.VIP4, port+1), game.UDP(lab.VIP4, port+1)}}
	world, err := game.NewWorld(p.lab, p.login2...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	p.configure(t, p.yaml("2.0", ""))
	p.do(t, "reload").mustBe(t, 0, "…world    group shard-1, before it none\n", "")
	p.host.AwaitHops(t)
	return p
}

// yaml has the version that login's green pool holds, and what stands before all.
func (p *pair) yaml(green, before string) string {
	services := []host.Service{{Name: service, Group: "shard-1", Timeouts: short}, {Name: "login", Group: "shard-1", Timeouts: short, Versions: map[string]string{"green": green}}}
	for i, endpoints := range [][]game.Endpoint{p.endpoints, p.login2} {
		for _, e := range endpoints {
			services[i].Listeners = append(services[i].Listeners, listener(e))
		}
	}
	return before + host.YAML(p.lab, lab.DSR, 65536, services...)
}

// newcomer logs in at both services, which must both be of that colour.
func (p *pair) newcomer(t *testing.T, colour string) {
	t.Helper()
	role := game.Role{Endpoints: append(append([]game.Endpoint{}, p.endpoints...), p.login2...), ChatTick: 100 * time.Millisecond, StateTick: 100 * time.Millisecond}
	for _, r := range p.fleet.Add(t.Context(), 1, role)[0].Reports() {
		if r.Colour != colour {
			t.Errorf("%s %s logged in to %q, want %s", r.Network, r.Client, r.Colour, colour)
		}
	}
}

// A group flips as a whole or not at all, with no new session on an old generation of any of its services.
func TestAGroupFlipsAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	p := mustPair(t)
	p.newcomer(t, "blue")
	for _, verb := range []string{"flip", "release"} {
		for _, when := range [][]string{nil, {"--at", ahead(time.Hour)}} {
			p.do(t, append([]string{verb, "world"}, when...)...).mustBe(t, 5, "", "…world: it flips together with its group: use ebbtide "+verb+" --group shard-1, or give --alone\n")
		}
	}
	p.do(t, "flip", "--group", "shard-2").mustBe(t, 2, "", "ebbtide: flip --group shard-2: group shard-2: no service is in it\n…")
	p.do(t, "lock", "login", "--reason", "tournament", "--for", "1h").mustBe(t, 0, "…", "")
	p.do(t, "flip", "--group", "shard-1").mustBe(t, 5, "", "…service login: locked by root…")
	p.newcomer(t, "blue")
	p.do(t, "unlock", "login").mustBe(t, 0, "…", "")

	out := p.do(t, "flip", "--group", "shard-1", "-o", "json")
	out.mustBe(t, 0, "…", "")
	var res api.GroupFlipResult
	if err := json.Unmarshal([]byte(out.stdout), &res); err != nil || len(res.Members) != 2 {
		t.Fatalf("%v: %s", err, out.stdout)
	}
	for _, m := range res.Members {
		if !m.Changed || m.Live.Colour != "green" || m.NewOnOld != 0 || m.SessionsOnOld == 0 {
			t.Errorf("%+v", m)
		}
	}
	t.Logf("the stores were %d ns apart", res.ApartNanos)
	p.newcomer(t, "green")
	p.do(t, "rollback", "--group", "shard-1").mustBe(t, 0, "login: "+blue1+" is live\n…world: "+blue1+" is live\n…group shard-1: 2 services, from the first store to the last …\n", "")
	p.newcomer(t, "blue")

	p.do(t, "flip", "world", "--alone").mustBe(t, 0, "world: "+green2+" is live\n…", "")
	p.do(t, "flip", "--group", "shard-1", "--to", "green").mustBe(t, 0, "login: "+green2+" is live\n…world: "+green2+" is live already, nothing to do\n", "")
	p.newcomer(t, "green")
	p.do(t, "flip", "--group", "shard-1", "--at", ahead(shortly)).mustBe(t, 0, "group shard-1: flip login to generation 1, world to generation 1 at …", "")
	p.mustTurnOut(t, 1, api.ScheduledDone, "2 services, ")
	p.newcomer(t, "blue")
	p.do(t, "rollback", "--group", "shard-1").mustBe(t, 0, "…", "")
	p.fleet.Logout(len(p.fleet.Playing()))
	p.do(t, "drain", "--group", "shard-1", "--wait").mustBe(t, 0, "…login: "+blue1+": drained, 0 new…", "")
	for _, s := range p.host.Status(t).Services {
		for _, g := range s.Generations {
			if g.State != api.StateLive && (g.State != api.StateDrained || g.NewSinceFlip != 0) {
				t.Errorf("after the wait generation %d of service %s is %s, with %d new sessions since the flip", g.Number, s.Name, g.State, g.NewSinceFlip)
			}
		}
	}
	p.mustBeWhole(t)
}

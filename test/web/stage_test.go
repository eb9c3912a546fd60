package web

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/web"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

var update = flag.Bool("update", false, "write the screenshots in docs/web anew")

func TestMain(m *testing.M) {
	host.Child() // the daemon under test is this executable
	flag.Parse()
	os.Exit(m.Run())
}

const (
	worldPort = 7777
	arenaPort = 7778
	shardPort = 7779 // and the next
	listen    = "127.0.0.1:8080"
	brief     = "{tcp: 60s, tcp_half_open: 5s, tcp_closing: 2s, udp: 4s, udp_new: 2s, reuse_after: 5s}"
)

// stage is a daemon with a page, and players of two services.
type stage struct {
	lab   *lab.Lab
	host  *host.Host
	world *game.World
	fleet *game.Fleet // nobody of whom may ever notice anything
	to    map[string][]game.Endpoint
	from  []netip.Addr
	told  string // file that the notice hook writes to
	rest  string // of the configuration, without the page
}

func mustStage(t *testing.T) *stage {
	t.Helper()
	l := lab.Must(t, lab.Options{})
	s := &stage{lab: l, told: filepath.Join(l.Dir, "told"), to: map[string][]game.Endpoint{
		"world": {game.TCP(lab.VIP4, worldPort), game.UDP(lab.VIP4, worldPort)},
		"arena": {game.TCP(lab.VIP4, arenaPort), game.UDP(lab.VIP4, arenaPort)},
	}}
	var err error
	if s.from, _, err = l.ClientAddresses(24); err != nil {
		t.Fatal(err)
	}
	if s.world, err = game.NewWorld(l, append(s.to["world"], s.to["arena"]...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.world.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.host, err = host.New(l, host.Options{}); err != nil {
		t.Fatal(err)
	}
	listeners := func(name string) (out []string) {
		for _, e := range s.to[name] {
			out = append(out, fmt.Sprintf("{vip: %q, protocol: %s, port: %d}", e.Addr.Addr(), e.Network, e.Addr.Port()))
		}
		return out
	}
	shard := func(name string, port int) host.Service {
		return host.Service{Name: name, Group: "shards", Listeners: []string{fmt.Sprintf("{vip: %q, protocol: tcp, port: %d}", lab.VIP4, port)}}
	}
	s.rest = host.YAML(l, lab.DSR, 65536,
		host.Service{Name: "arena", Listeners: listeners("arena"), Timeouts: brief, Release: fmt.Sprintf(
			"{bake: 1s, deadline: 1h, notice: {at: [1 sessions]}, hooks: {notice: [{exec: [/usr/bin/tee, -a, %q], timeout: 10s}]}}", s.told)},
		host.Service{Name: "world", Listeners: listeners("world"), Timeouts: brief},
		shard("east", shardPort), shard("west", shardPort+1),
	)
	if err := s.host.Configure("web: {listen: " + listen + "}\n" + s.rest); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(func() {
		if err := s.host.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
	s.host.AwaitHops(t)
	s.fleet = game.NewFleet(l.Client)
	t.Cleanup(s.fleet.Close)
	return s
}

func (s *stage) start(t *testing.T) {
	t.Helper()
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// access is where the page is, once it is.
func (s *stage) access(t *testing.T) web.Access {
	t.Helper()
	var a web.Access
	lab.Eventually(t, "the page to be served", func() (served bool) {
		var err error
		a, err = web.ReadAccess(s.host.Options().Socket)
		return err == nil
	})
	return a
}

// come lets players in, who play at a service from one of the clients' addresses.
func (s *stage) come(t *testing.T, fleet *game.Fleet, n int, service string, from int) []*game.Player {
	t.Helper()
	players := fleet.Add(t.Context(), n, game.Role{
		Endpoints: s.to[service], ChatTick: 200 * time.Millisecond, StateTick: 200 * time.Millisecond, From: s.from[from : from+8],
	})
	fleet.Exchange(1)
	return players
}

// mustBeOn checks where players are.
func mustBeOn(t *testing.T, players []*game.Player, colour string) {
	t.Helper()
	for _, p := range players {
		for _, r := range p.Reports() {
			if r.Colour != colour {
				t.Errorf("%s %s is on %q, want %s", r.Network, r.Client, r.Colour, colour)
			}
		}
	}
}

// mustBeWhole checks that none of those who may not have noticed anything has.
func (s *stage) mustBeWhole(t *testing.T) {
	t.Helper()
	s.fleet.Exchange(2)
	if totals := s.fleet.Totals(); totals.Broken != 0 {
		drops, err := s.lab.Drops()
		t.Errorf("%d of %d players broken: %q; lost by the lab itself: %v (%v)", totals.Broken, totals.Players, totals.Reasons, drops, err)
	}
}

// service is its status.
func (s *stage) service(t *testing.T, name string) api.Service {
	t.Helper()
	for _, svc := range s.host.Status(t).Services {
		if svc.Name == name {
			return svc
		}
	}
	t.Fatalf("there is no service %s", name)
	return api.Service{}
}

// left are the sessions of a generation.
func (s *stage) left(t *testing.T, name string, number uint32) uint64 {
	t.Helper()
	for _, g := range s.service(t, name).Generations {
		if g.Number == number {
			return g.Sessions.Total
		}
	}
	return 0
}

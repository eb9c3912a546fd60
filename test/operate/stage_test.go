package operate

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	service = "world"
	port    = 7777
	// short are timeouts that let a test see the end of everything but an established TCP session. A machine with other work
	// stands still for two or three seconds, and that ends nobody.
	short = "{tcp: 1h, tcp_half_open: 5s, tcp_closing: 2s, udp: 5s, udp_new: 5s, reuse_after: 5s}"
	// calm are timeouts that end nothing while a test lasts.
	calm = "{tcp: 1h, tcp_half_open: 10m, tcp_closing: 10m, udp: 1h, udp_new: 10m, reuse_after: 10m}"
)

// setting says what to set up; the zero value is a one-armed dsr lab with a backend of each colour, and TCP and UDP at
// the IPv4 VIP.
type setting struct {
	vips     []netip.Addr      // default: the IPv4 one
	timeouts string            // default: short
	versions map[string]string // of the pools, by colour
	backends []string          // default: blue1 and green1
	ghost    bool              // the green backend is in the configuration only
	options  host.Options
	bare     func(t *testing.T, s *stage) // sets backends up, which have nothing then; nil: they are as a lab has them
}

// stage is a lab with a daemon, the game on its backends, and players to come.
type stage struct {
	set       setting
	lab       *lab.Lab
	world     *game.World
	host      *host.Host
	fleet     *game.Fleet
	endpoints []game.Endpoint
}

// mustSet sets up and does not start a daemon.
func mustSet(t *testing.T, set setting) *stage {
	t.Helper()
	if set.vips == nil {
		set.vips = []netip.Addr{lab.VIP4}
	}
	if set.timeouts == "" {
		set.timeouts = short
	}
	backends := set.backends
	if backends == nil {
		backends = []string{"blue1", "green1"}
	}
	if set.ghost {
		backends = backends[:1]
	}
	s := &stage{set: set, lab: lab.Must(t, lab.Options{Backends: backends, Bare: set.bare != nil})}
	for _, vip := range set.vips {
		s.endpoints = append(s.endpoints, game.TCP(vip, port), game.UDP(vip, port))
	}
	if set.bare != nil {
		set.bare(t, s)
	}
	s.serve(t)
	var err error
	if s.host, err = host.New(s.lab, set.options); err != nil {
		t.Fatal(err)
	}
	s.configure(t, s.yaml())
	s.fleet = game.NewFleet(s.lab.Client)
	t.Cleanup(s.fleet.Close)
	return s
}

func (s *stage) serve(t *testing.T) {
	t.Helper()
	var err error
	if s.world, err = game.NewWorld(s.lab, s.endpoints...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.world.Close(); err != nil {
			t.Error(err)
		}
	})
}

// yaml is the configuration of the setting.
func (s *stage) yaml() string {
	l := *s.lab
	if s.set.ghost {
		l.Backends = append(slices.Clone(l.Backends), &lab.Backend{
			Colour: "green", V4: netip.MustParseAddr("10.77.0.12"), V6: netip.MustParseAddr("fd77::c"),
		})
	}
	svc := host.Service{Name: service, Timeouts: s.set.timeouts, Versions: s.set.versions}
	for _, e := range s.endpoints {
		svc.Listeners = append(svc.Listeners, listener(e))
	}
	return host.YAML(&l, lab.DSR, 65536, svc)
}

func listener(e game.Endpoint) string {
	return fmt.Sprintf("{vip: %q, protocol: %s, port: %d}", e.Addr.Addr(), e.Network, e.Addr.Port())
}

func (s *stage) configure(t *testing.T, yaml string) {
	t.Helper()
	if err := s.host.Configure(yaml); err != nil {
		t.Fatal(err)
	}
}

// mustStage sets up and starts a daemon whose kernel writes can be heard of.
func mustStage(t *testing.T, set setting) *stage {
	t.Helper()
	s := mustSet(t, set)
	s.host.Options().StepLog = s.lab.Dir + "/steps"
	s.start(t)
	t.Cleanup(func() {
		s.host.Signal(syscall.SIGCONT) // a test that failed may have left it stopped
		if err := s.host.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
	if !set.ghost {
		s.host.AwaitHops(t)
	}
	return s
}

func (s *stage) start(t *testing.T) {
	t.Helper()
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// login lets a newcomer in at every endpoint, whose sessions must all be taken by that colour. The kernel chooses the
// address that he comes from, unless it is given.
func (s *stage) login(t *testing.T, colour string, from ...netip.Addr) *game.Player {
	t.Helper()
	role := game.Role{Endpoints: s.endpoints, ChatTick: 100 * time.Millisecond, StateTick: 100 * time.Millisecond, From: from}
	p := s.fleet.Add(t.Context(), 1, role)[0]
	p.Exchange(2)
	for _, r := range p.Reports() {
		if r.Colour != colour {
			t.Errorf("%s %s logged in to %q, want %s", r.Network, r.Client, r.Colour, colour)
		}
	}
	return p
}

// mustBeWhole checks that no player and no server noticed anything.
func (s *stage) mustBeWhole(t *testing.T) {
	t.Helper()
	s.fleet.Exchange(2)
	if totals := s.fleet.Totals(); totals.Broken != 0 {
		drops, err := s.lab.Drops()
		t.Errorf("%d of %d players broken: %q; lost by the lab itself: %v (%v)", totals.Broken, totals.Players, totals.Reasons, drops, err)
	}
	if faults := s.world.Faults(); len(faults) != 0 {
		t.Errorf("servers saw %d faults: %q", len(faults), faults[:min(len(faults), 8)])
	}
}

// service is the status of the service.
func (s *stage) service(t *testing.T) api.Service {
	t.Helper()
	return s.host.Status(t).Services[0]
}

// generation is the service's generation of that number.
func (s *stage) generation(t *testing.T, number uint32) api.Generation {
	t.Helper()
	for _, g := range s.service(t).Generations {
		if g.Number == number {
			return g
		}
	}
	t.Fatalf("no generation %d", number)
	return api.Generation{}
}

// swept waits for the end of a sweep that began after the call.
func (s *stage) swept(t *testing.T) {
	t.Helper()
	now := time.Now()
	lab.Eventually(t, "a complete sweep", func() bool {
		st := s.host.Status(t)
		return st.LastSweep.Add(-time.Duration(st.SweepSeconds * float64(time.Second))).After(now)
	})
}

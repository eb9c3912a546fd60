package attach

import (
	"fmt"
	"net/netip"
	"strings"
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
	// calm are timeouts that end nothing while a test lasts.
	calm = "{tcp: 1h, tcp_half_open: 10m, tcp_closing: 10m, udp: 1h, udp_new: 10m, reuse_after: 10m}"
)

// setting says what to set up; the zero value is a one-armed dsr lab with TCP and UDP at both VIPs.
type setting struct {
	lab      lab.Options
	options  host.Options
	file     file
	networks []string // default: tcp, udp
	timeouts string   // default: calm
}

// file is what a test has to say about its configuration file; the zero value leaves all to the defaults.
type file struct {
	interfaces string // a YAML list; default: the lab's
	top        string // a line at the top level
}

// stage is a lab with a daemon, the game on its backends, and players to come.
type stage struct {
	lab       *lab.Lab
	world     *game.World
	host      *host.Host
	fleet     *game.Fleet
	set       setting
	endpoints []game.Endpoint
}

// mustSet sets up and does not start the daemon.
func mustSet(t *testing.T, set setting) *stage {
	t.Helper()
	if set.networks == nil {
		set.networks = []string{"tcp", "udp"}
	}
	if set.timeouts == "" {
		set.timeouts = calm
	}
	s := &stage{lab: lab.Must(t, set.lab), set: set}
	for _, vip := range []netip.Addr{lab.VIP4, lab.VIP6} {
		for _, network := range set.networks {
			s.endpoints = append(s.endpoints, game.Endpoint{Network: network, Addr: netip.AddrPortFrom(vip, port)})
		}
	}
	var err error
	if s.world, err = game.NewWorld(s.lab, s.endpoints...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.world.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.host, err = host.New(s.lab, set.options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
	s.configure(t, set.file)
	s.fleet = game.NewFleet(s.lab.Client)
	t.Cleanup(s.fleet.Close)
	return s
}

// mustStage sets up with a daemon that runs.
func mustStage(t *testing.T, set setting) *stage {
	t.Helper()
	s := mustSet(t, set)
	s.start(t)
	return s
}

// start starts the daemon. The lab ends it.
func (s *stage) start(t *testing.T) {
	t.Helper()
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// configure writes the configuration file; the daemon is not told.
func (s *stage) configure(t *testing.T, f file) {
	t.Helper()
	world := host.Service{Name: service, Timeouts: s.set.timeouts}
	for _, e := range s.endpoints {
		world.Listeners = append(world.Listeners, fmt.Sprintf("{vip: %q, protocol: %s, port: %d}", e.Addr.Addr(), e.Network, e.Addr.Port()))
	}
	yaml := host.YAML(s.lab, s.set.lab.Forwarding, 65536, world)
	if f.interfaces != "" {
		_, rest, _ := strings.Cut(yaml, "\n")
		yaml = "interfaces: " + f.interfaces + "\n" + rest
	}
	if err := s.host.Configure(f.top + "\n" + yaml); err != nil {
		t.Fatal(err)
	}
}

// reload has the daemon apply a file that it must take.
func (s *stage) reload(t *testing.T, f file) {
	t.Helper()
	s.configure(t, f)
	if _, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{}); err != nil {
		t.Fatal(err)
	}
}

// mustRefuse has the daemon reload a file that it must not take, for that reason.
func (s *stage) mustRefuse(t *testing.T, f file, reason string) {
	t.Helper()
	s.configure(t, f)
	_, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{})
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("reload: %v, want it refused: %s", err, reason)
	}
}

// play has n players log in and hear an answer or two, as have all others.
func (s *stage) play(t *testing.T, n int) {
	t.Helper()
	s.fleet.Add(t.Context(), n, game.Role{Endpoints: s.endpoints, ChatTick: 100 * time.Millisecond, StateTick: 100 * time.Millisecond})
	s.fleet.Exchange(2)
}

func (s *stage) flip(t *testing.T) {
	t.Helper()
	if _, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service}); err != nil {
		t.Fatal(err)
	}
}

// mustPlayAFlip has players on blue go on through a flip, and others log in to green.
func (s *stage) mustPlayAFlip(t *testing.T) {
	t.Helper()
	s.play(t, 5)
	s.flip(t)
	s.play(t, 5)
	s.mustBeWhole(t, 5, 5)
}

// mustBeWhole checks that no player and no server noticed anything, and how many players are on each colour.
func (s *stage) mustBeWhole(t *testing.T, blue, green int) {
	t.Helper()
	totals := s.fleet.Totals()
	if totals.Broken != 0 {
		drops, err := s.lab.Drops()
		t.Errorf("%d of %d players broken: %q; lost by the lab itself: %v (%v)", totals.Broken, totals.Players, totals.Reasons, drops, err)
	}
	if faults := s.world.Faults(); len(faults) != 0 {
		t.Errorf("servers saw %d faults: %q", len(faults), faults[:min(len(faults), 8)])
	}
	n := len(s.endpoints)
	if totals.Colours["blue"] != n*blue || totals.Colours["green"] != n*green {
		t.Errorf("sessions by colour: %v, want those of %d players on blue and %d on green", totals.Colours, blue, green)
	}
}

// iface is what status says of an interface, of which there may be none.
func (s *stage) iface(t *testing.T, name string) api.Interface {
	t.Helper()
	for _, i := range s.host.Status(t).Interfaces {
		if i.Name == name {
			return i
		}
	}
	return api.Interface{}
}

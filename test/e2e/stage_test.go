package e2e

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	service = "world"
	port    = 7777
	// short are timeouts that let a test see the end of everything but an established TCP session. Players on a busy machine
	// are silent for seconds.
	short = "{tcp: 60s, tcp_half_open: 10s, tcp_closing: 2s, udp: 10s, udp_new: 10s, reuse_after: 5s}"
	// calm are timeouts that end nothing while a test lasts.
	calm = "{tcp: 1h, tcp_half_open: 10m, tcp_closing: 10m, udp: 1h, udp_new: 10m, reuse_after: 10m}"
)

// setting says what to set up; the zero value is a one-armed dsr lab with TCP and UDP at the IPv4 VIP.
type setting struct {
	forwarding lab.Forwarding
	arms       lab.Arms
	vips       []netip.Addr // default: the IPv4 one
	networks   []string     // default: tcp, udp
	backends   []string     // default: the lab's
	timeouts   string       // default: short
	maxFlows   int          // default: 65536
	leaveOut   bpftest.ProgramRule
	stall      uint32                // length of the stalls among these
	yaml       func(*lab.Lab) string // default: all that is above
	stepLog    bool
	stopOn     string
	noWorld    bool                 // the test serves by itself
	before     func(*lab.Lab) error // done to the lab before the daemon starts
}

// stage is a lab with a daemon, the game on its backends, and players to come.
type stage struct {
	lab       *lab.Lab
	world     *game.World
	host      *host.Host
	fleet     *game.Fleet
	endpoints []game.Endpoint
}

// mustStage sets up and waits until every backend can be reached.
func mustStage(t *testing.T, set setting) *stage {
	t.Helper()
	set = set.withDefaults()
	s := &stage{lab: lab.Must(t, lab.Options{Forwarding: set.forwarding, Arms: set.arms, Backends: set.backends})}
	for _, vip := range set.vips {
		for _, network := range set.networks {
			s.endpoints = append(s.endpoints, game.Endpoint{Network: network, Addr: netip.AddrPortFrom(vip, port)})
		}
	}
	if !set.noWorld {
		s.serve(t)
	}
	if set.before != nil {
		if err := set.before(s.lab); err != nil {
			t.Fatal(err)
		}
	}
	s.startHost(t, set)
	s.fleet = game.NewFleet(s.lab.Client)
	t.Cleanup(s.fleet.Close)
	s.awaitHops(t)
	return s
}

func (set setting) withDefaults() setting {
	if set.vips == nil {
		set.vips = []netip.Addr{lab.VIP4}
	}
	if set.networks == nil {
		set.networks = []string{"tcp", "udp"}
	}
	if set.timeouts == "" {
		set.timeouts = short
	}
	if set.maxFlows == 0 {
		set.maxFlows = 65536
	}
	if set.yaml == nil {
		set.yaml = func(l *lab.Lab) string {
			return host.YAML(l, set.forwarding, set.maxFlows, set.service(service, port))
		}
	}
	return set
}

// service is one with every listener of the setting, at a port.
func (set setting) service(name string, port uint16) host.Service {
	out := host.Service{Name: name, Timeouts: set.timeouts}
	for _, vip := range set.vips {
		for _, network := range set.networks {
			out.Listeners = append(out.Listeners, listener(vip, network, port))
		}
	}
	return out
}

func listener(vip netip.Addr, network string, port uint16) string {
	return fmt.Sprintf("{vip: %q, protocol: %s, port: %d}", vip, network, port)
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

func (s *stage) startHost(t *testing.T, set setting) {
	t.Helper()
	opt := host.Options{LeaveOut: set.leaveOut, Stall: set.stall, StopOn: set.stopOn}
	if set.stepLog {
		opt.StepLog = s.lab.Dir + "/steps"
	}
	var err error
	if s.host, err = host.New(s.lab, opt); err != nil {
		t.Fatal(err)
	}
	s.configure(t, set.yaml(s.lab))
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.host.Signal(syscall.SIGCONT) // a test that failed may have left it stopped
		if err := s.host.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
}

func (s *stage) configure(t *testing.T, yaml string) {
	t.Helper()
	if err := s.host.Configure(yaml); err != nil {
		t.Fatal(err)
	}
}

// role is of players who play every endpoint, slowly enough for a small machine.
func (s *stage) role() game.Role {
	return game.Role{Endpoints: s.endpoints, ChatTick: 2 * time.Second, StateTick: 200 * time.Millisecond}
}

// brisk is of the few players of a test that waits for their answers.
func (s *stage) brisk() game.Role {
	return game.Role{Endpoints: s.endpoints, ChatTick: 100 * time.Millisecond, StateTick: 100 * time.Millisecond}
}

func (s *stage) flip(t *testing.T) api.FlipResult {
	t.Helper()
	result, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (s *stage) reload(t *testing.T) api.Plan {
	t.Helper()
	plan, err := s.host.Client.Reload(t.Context(), api.ReloadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// mustBeWhole checks that no player and no server noticed anything.
func (s *stage) mustBeWhole(t *testing.T) {
	t.Helper()
	s.mustNotBreak(t)
	if faults := s.world.Faults(); len(faults) != 0 {
		t.Errorf("servers saw %d faults: %q", len(faults), faults[:min(len(faults), 8)])
	}
}

// mustNotBreak checks that no player noticed anything. What the lab lost by itself is said beside.
func (s *stage) mustNotBreak(t *testing.T) {
	t.Helper()
	totals := s.fleet.Totals()
	if totals.Broken == 0 {
		return
	}
	drops, err := s.lab.Drops()
	t.Errorf("%d of %d players broken: %q; lost by the lab itself: %v (%v)", totals.Broken, totals.Players, totals.Reasons, drops, err)
}

// mustPlayOn checks that these sessions, by colour, are in progress: by the players' own account and the servers'.
func (s *stage) mustPlayOn(t *testing.T, want map[string]int) {
	t.Helper()
	players, servers := s.fleet.Totals().Colours, s.world.Open()
	for _, colour := range []string{"", "blue", "green"} {
		if players[colour] != want[colour] || servers[colour] != want[colour] {
			t.Errorf("sessions in progress on %q: players have %d, servers %d, want %d", colour, players[colour], servers[colour], want[colour])
		}
	}
}

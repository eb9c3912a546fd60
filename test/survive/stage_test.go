package survive

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	service = "world"
	port    = 7777
	// calm are timeouts that end nothing while a test lasts, but for what has said that it ends.
	calm = "{tcp: 1h, tcp_half_open: 10m, tcp_closing: 2s, udp: 1h, udp_new: 10m, reuse_after: 10m}"
	// short are timeouts that let UDP sessions end by silence, and by more of it than a busy machine makes by itself.
	short = "{tcp: 1h, tcp_half_open: 5s, tcp_closing: 2s, udp: 6s, udp_new: 6s, reuse_after: 5s}"
)

// stage is a lab with a daemon that dies a lot, the game on its backends, and players to come.
type stage struct {
	lab   *lab.Lab
	world *game.World
	host  *host.Host
	fleet *game.Fleet
}

// setting says what to set up; the zero value is a one-armed dsr lab.
type setting struct {
	forwarding lab.Forwarding
	arms       lab.Arms
	maxFlows   int            // default: 65536
	services   []host.Service // default: world, calm, with TCP and UDP
	options    host.Options
}

func (set setting) yaml(l *lab.Lab) string {
	if set.maxFlows == 0 {
		set.maxFlows = 65536
	}
	if set.services == nil {
		set.services = []host.Service{both(service, port, calm)}
	}
	return host.YAML(l, set.forwarding, set.maxFlows, set.services...)
}

// both is a service with TCP and UDP at a port of both VIPs.
func both(name string, port uint16, timeouts string) host.Service {
	svc := host.Service{Name: name, Timeouts: timeouts}
	for _, vip := range vips {
		svc.Listeners = append(svc.Listeners, listener(vip, "tcp", port), listener(vip, "udp", port))
	}
	return svc
}

var vips = []netip.Addr{lab.VIP4, lab.VIP6}

func listener(vip netip.Addr, network string, port uint16) string {
	return fmt.Sprintf("{vip: %q, protocol: %s, port: %d}", vip, network, port)
}

// endpoints are those of both.
func endpoints(port uint16) (all []game.Endpoint) {
	for _, vip := range vips {
		all = append(all, game.TCP(vip, port), game.UDP(vip, port))
	}
	return all
}

// mustStage sets up, with the game served at the endpoints, and waits until every backend can be reached.
func mustStage(t *testing.T, set setting, serve ...game.Endpoint) *stage {
	t.Helper()
	s := mustSet(t, set, serve...)
	s.start(t)
	s.awaitHops(t)
	return s
}

// mustSet sets up and does not start the daemon.
func mustSet(t *testing.T, set setting, serve ...game.Endpoint) *stage {
	t.Helper()
	s := &stage{lab: lab.Must(t, lab.Options{Forwarding: set.forwarding, Arms: set.arms})}
	var err error
	if s.world, err = game.NewWorld(s.lab, serve...); err != nil {
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
	s.configure(t, set.yaml(s.lab))
	s.fleet = game.NewFleet(s.lab.Client)
	t.Cleanup(s.fleet.Close)
	return s
}

func (s *stage) configure(t *testing.T, yaml string) {
	t.Helper()
	if err := s.host.Configure(yaml); err != nil {
		t.Fatal(err)
	}
}

// start starts the daemon, which nothing kills by itself.
func (s *stage) start(t *testing.T) {
	t.Helper()
	s.host.Options().KillAt = 0
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9.
func (s *stage) kill(t *testing.T) {
	t.Helper()
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
}

// doom starts a daemon that dies before its n-th kernel write of that name, and says whether it was up before that.
func (s *stage) doom(t *testing.T, on string, n int) bool {
	t.Helper()
	s.forgetSteps(t)
	s.host.Options().KillOn, s.host.Options().KillAt = on, n
	err := s.host.Start(t.Context())
	if err != nil && !strings.Contains(err.Error(), "signal: killed") {
		t.Fatal(err)
	}
	return err == nil
}

// mustDie waits until the daemon has come to the write that it dies before, and names that.
func (s *stage) mustDie(t *testing.T) string {
	t.Helper()
	died := make(chan error, 1)
	go func() { died <- s.host.Wait() }()
	select {
	case err := <-died:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(forEver):
		t.Fatal("the daemon never came to the write that it was to die before")
	}
	s.host.Client.Close()
	return s.lastStep(t)
}

func (s *stage) stepLog() string { return s.lab.Dir + "/steps" }

func (s *stage) forgetSteps(t *testing.T) {
	t.Helper()
	s.host.Options().StepLog = s.stepLog()
	if err := os.WriteFile(s.stepLog(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) steps(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(s.stepLog())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func (s *stage) lastStep(t *testing.T) string {
	steps := s.steps(t)
	return steps[len(steps)-1]
}

// role is of players who play slowly enough for a small machine.
func role(at ...game.Endpoint) game.Role {
	return game.Role{Endpoints: at, ChatTick: 2 * time.Second, StateTick: 200 * time.Millisecond}
}

// mustBeWhole checks that no player and no server noticed anything.
func (s *stage) mustBeWhole(t *testing.T) {
	t.Helper()
	if totals := s.fleet.Totals(); totals.Broken != 0 {
		t.Errorf("%d of %d players broken: %q", totals.Broken, totals.Players, totals.Reasons)
	}
	if faults := s.world.Faults(); len(faults) != 0 {
		t.Errorf("servers saw %d faults: %q", len(faults), faults[:min(len(faults), 8)])
	}
	if !t.Failed() {
		return
	}
	drops, err := s.lab.Drops()
	t.Logf("lost by the lab itself: %v (%v)", drops, err)
}

// login lets a newcomer in and gives the colour that took his sessions, one for all of them.
func (s *stage) login(t *testing.T, at ...game.Endpoint) string {
	t.Helper()
	var colour string
	for _, r := range s.fleet.Add(t.Context(), 1, role(at...))[0].Reports() {
		if colour != "" && colour != r.Colour {
			t.Errorf("sessions of one newcomer on %s and %s", colour, r.Colour)
		}
		colour = r.Colour
	}
	return colour
}

// leave logs the players out whose sessions a colour has.
func (s *stage) leave(colour string) {
	for _, p := range s.fleet.Playing() {
		if p.Reports()[0].Colour == colour {
			p.Logout()
		}
	}
}

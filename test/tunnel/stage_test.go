package tunnel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/backend"
	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

// backendTags are those in which the load balancer reaches backends, by their names; the others are untagged.
var backendTags = map[string][]int{"blue2": {300}, "green1": {400, 300}}

// links to the load balancer: tags, and the VIPs that are reached by them.
var links = []struct {
	name string
	tags []int
	vips []netip.Addr
}{
	{"untagged", nil, []netip.Addr{lab.VIP4, lab.VIP6}},
	{"tagged", []int{100}, addrs("203.0.113.11", "2001:db8::11")},
	{"twice tagged", []int{200, 100}, addrs("203.0.113.12", "2001:db8::12")},
}

func addrs(in ...string) (out []netip.Addr) {
	for _, s := range in {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

const (
	service = "world"
	play    = 7777 // port
	large   = 7000 // port
)

// pools, and the families of their backends' addresses: IPv4 travels in IPv4 before the flip, in IPv6 after it.
var pools = []struct{ colour, version, families string }{{"blue", "1.9", "46"}, {"green", "2.0", "6"}}

// outerSource is where outer headers come from.
var outerSource = []netip.Prefix{netip.MustParsePrefix("10.250.0.0/16"), netip.MustParsePrefix("fd00:eb::/96")}

// stage is a lab with a daemon, the game on its backends, and players to come.
type stage struct {
	lab       *lab.Lab
	world     *game.World
	host      *host.Host
	fleet     *game.Fleet
	endpoints []game.Endpoint // of players
}

// mustStage sets up, or skips the test on a kernel that has no tunnels.
func mustStage(t *testing.T, leaveOut bpftest.ProgramRule) *stage {
	t.Helper()
	return mustStageOf(t, leaveOut, false)
}

// mustStageOf has backends that are set up by the lab, or bare ones, by package backend.
func mustStageOf(t *testing.T, leaveOut bpftest.ProgramRule, bare bool) *stage {
	t.Helper()
	opts := lab.Options{Forwarding: lab.IPIP, Bare: bare, Tags: map[netip.Addr][]int{}, BackendTags: backendTags}
	for _, l := range links {
		opts.VIPs = append(opts.VIPs, l.vips...)
		for _, vip := range l.vips {
			opts.Tags[vip] = l.tags
		}
	}
	s := &stage{lab: mustLab(t, opts)}
	if bare {
		s.setUp(t, opts.VIPs)
	}
	for _, vip := range opts.VIPs {
		s.endpoints = append(s.endpoints, game.TCP(vip, play), game.UDP(vip, play))
	}
	s.serve(t)
	s.start(t, leaveOut)
	s.fleet = game.NewFleet(s.lab.Client)
	t.Cleanup(s.fleet.Close)
	s.host.AwaitHops(t)
	return s
}

// setUp makes bare hosts backends.
func (s *stage) setUp(t *testing.T, vips []netip.Addr) {
	t.Helper()
	steps, err := backend.Setup(config.IPIP, vips)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range s.lab.Backends {
		err := b.Do(func() error { return backend.Apply(steps) })
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.Skipf("%v: make test-kernels runs this test on kernels that have tunnels", err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func mustLab(t *testing.T, opts lab.Options) *lab.Lab {
	t.Helper()
	l, err := lab.New(opts)
	if errors.Is(err, lab.ErrNoTunnels) {
		t.Skipf("%v: make test-kernels runs this test on kernels that have them; here test/operate looks at what comes out on "+
			"the wire of a backend, and test/datapath at every byte of it", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.CloseAfter(t)
	return l
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

func (s *stage) start(t *testing.T, leaveOut bpftest.ProgramRule) {
	t.Helper()
	var err error
	if s.host, err = host.New(s.lab, host.Options{LeaveOut: leaveOut}); err != nil {
		t.Fatal(err)
	}
	if err := s.host.Configure(s.yaml()); err != nil {
		t.Fatal(err)
	}
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.host.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", s.host.Log())
		}
	})
}

func (s *stage) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "interfaces: [eth0]\nmax_flows: 65536\nipip: {source: [%s, %q]}\nservices:\n  %s:\n", outerSource[0], outerSource[1], service)
	b.WriteString("    forwarding: ipip\n    timeouts: {tcp: 1h, tcp_half_open: 10m, udp: 1h, udp_new: 10m}\n    listeners:\n")
	for _, l := range links {
		for _, vip := range l.vips {
			for _, port := range []uint16{play, large} {
				fmt.Fprintf(&b, "      - {vip: %q, protocol: tcp, port: %d}\n      - {vip: %q, protocol: udp, port: %d}\n", vip, port, vip, port)
			}
		}
	}
	b.WriteString("    pools:\n")
	for _, p := range pools {
		s.pool(&b, p.colour, p.version, p.families)
	}
	return b.String()
}

func (s *stage) pool(b *strings.Builder, colour, version, families string) {
	fmt.Fprintf(b, "      %s:\n        version: %q\n        backends:\n", colour, version)
	for _, be := range s.lab.Backends {
		if be.Colour == colour {
			fmt.Fprintf(b, "          - {address: %s}\n", map[string]string{
				"6": fmt.Sprintf("%q", be.V6), "46": fmt.Sprintf("[%s, %q]", be.V4, be.V6),
			}[families])
		}
	}
}

// role is of players who play every endpoint, on a machine that is slow: an emulated one.
func (s *stage) role() game.Role {
	return game.Role{Endpoints: s.endpoints, ChatTick: 2 * time.Second, StateTick: 2 * time.Second, Patience: lab.ForEver}
}

// flip flips, and checks the proof.
func (s *stage) flip(t *testing.T) {
	t.Helper()
	result, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	if !result.Changed || result.NewOnOld != 0 {
		t.Errorf("the flip: %+v", result)
	}
}

// steered counts the flows for which a backend was chosen, by the program's account.
func (s *stage) steered(t *testing.T) (n uint64) {
	t.Helper()
	for _, g := range s.host.Status(t).Services[0].Generations {
		n += g.New
	}
	return n
}

package e2e

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestAReloadWithoutAChangeWritesNothing(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{stepLog: true, vips: []netip.Addr{lab.VIP4, lab.VIP6}, timeouts: calm})
	s.fleet.Add(t.Context(), 2, s.brisk())
	s.flip(t)
	s.swept(t)
	before := s.steps(t)
	if len(before) == 0 {
		t.Fatal("no kernel write is in the log: this test sees nothing")
	}
	if plan := s.reload(t); len(plan.Changes) != 0 {
		t.Errorf("a reload of the same file changed %+v", plan.Changes)
	}
	s.swept(t)
	if after := s.steps(t); len(after) != len(before) {
		t.Errorf("a reload of the same file wrote %q", after[len(before):])
	}
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
}

// steps are the kernel writes of the daemon.
func (s *stage) steps(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(s.host.Options().StepLog)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func TestARemovedBackendKeepsItsSessionsAndItsNumberIsNotReusedBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	set := setting{backends: []string{"blue1", "blue2", "blue3", "green1"}}.withDefaults()
	set.yaml = func(l *lab.Lab) string { return set.yamlOf(l, "blue1", "blue2", "green1") }
	s := mustStage(t, set)
	s.fleet.Add(t.Context(), 20, s.brisk())
	s.fleet.Exchange(2)
	tcp, udp := s.world.Server("blue2").Open()
	if tcp+udp == 0 {
		t.Fatal("nobody plays on the backend to be removed: this test sees nothing")
	}
	gone := s.lab.Backend("blue2")
	number := s.backendStatus(t, gone.V4).ID

	s.configure(t, set.yamlOf(s.lab, "blue1", "blue3", "green1"))
	s.reload(t)
	removed := time.Now()
	s.awaitHops(t)
	if b := s.backendStatus(t, gone.V4); b.State != api.BackendRemoved || b.ID != number {
		t.Errorf("the removed backend is %+v, want it removed and number %d still", b, number)
	}
	if b := s.backendStatus(t, s.lab.Backend("blue3").V4); b.ID == number {
		t.Errorf("a new backend has number %d, which sessions are pinned to", number)
	}
	newcomers := s.fleet.Add(t.Context(), 20, s.brisk())
	s.fleet.Exchange(2)
	s.swept(t)
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	s.mustNotTake(t, "blue2", removed)
	for _, p := range newcomers {
		for _, r := range p.Reports() {
			if r.Backend == "blue2" {
				t.Errorf("%s %s logged in to a removed backend", r.Network, r.Client)
			}
		}
	}
	s.fleet.Logout(20)
	eventually(t, "the removed backend to go with its last session", func() bool {
		g := s.generation(t, blue)
		return len(g.Backends) == 2
	})
	s.mustBeWhole(t)
}

// mustNotTake checks that a backend has accepted nobody since.
func (s *stage) mustNotTake(t *testing.T, backend string, since time.Time) {
	t.Helper()
	for _, a := range s.world.Log.Since(since) {
		if a.Backend == backend {
			t.Errorf("%s took %s %s after it was taken out of use", backend, a.Network, a.Client)
		}
	}
}

// yamlOf is the setting's configuration, with only the backends named.
func (set setting) yamlOf(l *lab.Lab, names ...string) string {
	some := *l
	some.Backends = nil
	for _, name := range names {
		some.Backends = append(some.Backends, l.Backend(name))
	}
	return host.YAML(&some, set.forwarding, set.maxFlows, set.service(service, port))
}

func TestARemovedPoolKeepsItsSessionsAndDrains(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.fleet.Add(t.Context(), 10, s.brisk())
	s.fleet.Exchange(2)
	s.flip(t)
	yaml := setting{}.withDefaults().yaml(s.lab)
	begin, end := strings.Index(yaml, "      blue:\n"), strings.Index(yaml, "      green:\n")
	s.configure(t, yaml[:begin]+yaml[end:])
	s.reload(t)
	w := s.watchDrain(t)
	s.fleet.Add(t.Context(), 10, s.brisk())
	s.swept(t)
	s.swept(t)
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	s.mustPlayOn(t, map[string]int{"blue": 20, "green": 20})
	w.mustWait(t)
	s.fleet.Logout(10)
	if err := <-w.over; err != nil || w.last.State != api.StateDrained {
		t.Errorf("the removed pool's drain ended with %v, %+v", err, w.last)
	}
	eventually(t, "the removed pool's generation to go", func() bool {
		return len(s.serviceStatus(t, service).Generations) == 1
	})
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
}

func TestARemovedListenerKeepsItsSessionsAndTakesNoNewOnes(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{})
	s.fleet.Add(t.Context(), 5, s.brisk())
	s.fleet.Exchange(2)
	s.configure(t, setting{networks: []string{"udp"}}.withDefaults().yaml(s.lab))
	s.reload(t)
	removed := time.Now()
	s.swept(t)
	s.fleet.Exchange(2)
	ctx, stop := context.WithTimeout(t.Context(), 1500*time.Millisecond) // its SYN is sent twice
	defer stop()
	if conn, err := s.lab.Client.Dial(ctx, "tcp", s.endpoints[0].Addr); err == nil {
		conn.Close()
		t.Error("a removed listener took a new session")
	} else if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a removed listener refused a new session by itself: %v; want silence", err)
	}
	for _, a := range s.world.Log.Since(removed) {
		t.Errorf("%s took %s %s of a removed listener", a.Backend, a.Network, a.Client)
	}
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	s.mustPlayOn(t, map[string]int{"blue": 10})
	s.fleet.Logout(5)
	eventually(t, "the removed listener to go with its last session", func() bool {
		return len(s.serviceStatus(t, service).Listeners) == 1
	})
	s.mustBeWhole(t)
}

func TestAServiceAddedByAReloadWorksAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	set := setting{timeouts: calm}.withDefaults()
	s := mustStage(t, set)
	s.fleet.Add(t.Context(), 5, s.brisk())
	s.fleet.Exchange(2)
	for _, b := range s.lab.Backends {
		for _, network := range set.networks {
			at := netip.AddrPortFrom(b.Address(lab.VIP4), port+1)
			if err := s.world.Server(b.Name).Listen(b, game.Endpoint{Network: network, Addr: at}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.configure(t, host.YAML(s.lab, set.forwarding, set.maxFlows, set.service(service, port), set.service("arena", port+1)))
	s.reload(t)
	s.awaitHops(t)
	arena := s.brisk()
	arena.Endpoints = []game.Endpoint{game.TCP(lab.VIP4, port+1), game.UDP(lab.VIP4, port+1)}
	s.fleet.Add(t.Context(), 5, arena)
	s.fleet.Exchange(2)
	s.flip(t) // of the world only
	flipped := time.Now()
	s.fleet.Add(t.Context(), 5, arena)
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	if opened := s.fleet.OpenedAfter(flipped, &s.world.Log); opened["blue"] != 10 || len(opened) != 1 {
		t.Errorf("sessions of the other service opened after the flip: %v, want 10 on blue", opened)
	}
	s.mustPlayOn(t, map[string]int{"blue": 30})
}

package e2e

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

func TestABackendThatChangesItsMACKeepsItsSessions(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{networks: []string{"tcp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, timeouts: calm})
	s.fleet.Add(t.Context(), 10, s.brisk())
	s.fleet.Exchange(2)
	for i, b := range s.lab.Backends {
		mac := net.HardwareAddr{0x02, 0, 0x5e, 0, 0x53, byte(i)}
		if err := b.SetMAC("eth0", mac); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new MAC of "+b.Name, func() bool { return s.hopsOf(t, b.V4) == 2 && s.macOf(t, b) == mac.String() })
	}
	s.fleet.Exchange(2)
	s.flip(t)
	s.fleet.Add(t.Context(), 10, s.brisk())
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	s.mustPlayOn(t, map[string]int{"blue": 20, "green": 20})
}

// hopsOf counts the resolved next hops of the backend with that address.
func (s *stage) hopsOf(t *testing.T, addr netip.Addr) int {
	t.Helper()
	n := 0
	for _, hop := range s.backendStatus(t, addr).NextHops {
		if hop.State == "resolved" {
			n++
		}
	}
	return n
}

// macOf is the MAC that status has for both families of a backend, "" while they differ.
func (s *stage) macOf(t *testing.T, b *lab.Backend) string {
	t.Helper()
	hops := s.backendStatus(t, b.V4).NextHops
	if len(hops) != 2 || hops[0].MAC != hops[1].MAC {
		return ""
	}
	return hops[0].MAC
}

func (s *stage) backendStatus(t *testing.T, addr netip.Addr) api.Backend {
	t.Helper()
	for _, g := range s.serviceStatus(t, service).Generations {
		for _, b := range g.Backends {
			if b.Addresses[0] == addr.String() {
				return b
			}
		}
	}
	t.Fatalf("no backend %s in status", addr)
	return api.Backend{}
}

// The green pool is in the configuration before its machine is there.
func TestABackendThatComesUpLateIsUsedAsSoonAsItAnswers(t *testing.T) {
	t.Parallel()
	set := setting{backends: []string{"blue1"}, timeouts: calm}.withDefaults()
	set.yaml = func(l *lab.Lab) string {
		late := *l
		late.Backends = append(late.Backends[:1:1], &lab.Backend{
			Colour: "green", V4: netip.MustParseAddr("10.77.0.12"), V6: netip.MustParseAddr("fd77::c"),
		})
		return host.YAML(&late, set.forwarding, set.maxFlows, set.service(service, port))
	}
	s := &stage{lab: lab.Must(t, lab.Options{Backends: set.backends})}
	s.endpoints = []game.Endpoint{game.TCP(lab.VIP4, port), game.UDP(lab.VIP4, port)}
	s.serve(t)
	s.startHost(t, set)
	s.fleet = game.NewFleet(s.lab.Client)
	t.Cleanup(s.fleet.Close)
	eventually(t, "the next hop of the backend that is there", func() bool { return host.Resolved(s.generation(t, blue)) })
	s.fleet.Add(t.Context(), 5, s.brisk())
	s.fleet.Exchange(2)
	if _, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service}); err == nil || !strings.Contains(err.Error(), "no usable") {
		t.Fatalf("flip to a pool of a machine that is not there: %v, want a refusal", err)
	}
	b, err := s.lab.AddBackend("green1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.world.Serve(b); err != nil {
		t.Fatal(err)
	}
	s.awaitHops(t)
	s.flip(t)
	s.fleet.Add(t.Context(), 5, s.brisk())
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
	s.mustPlayOn(t, map[string]int{"blue": 10, "green": 10})
}

func TestBackendsOnAnotherInterfaceThanTheClientsAreReached(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{forwarding: forwarding, arms: lab.TwoArms, vips: []netip.Addr{lab.VIP4, lab.VIP6}})
			s.fleet.Add(t.Context(), 5, s.brisk())
			s.fleet.Exchange(2)
			s.flip(t)
			s.fleet.Exchange(2)
			s.mustBeWhole(t)
			s.mustPlayOn(t, map[string]int{"blue": 20})
		})
	}
}

package datapath

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/maps"
)

// three is a service whose live pool has three backends.
func three(mode, backends string) string {
	return fmt.Sprintf(`
interfaces: [eth0]
ipip: {source: [10.250.0.0/16, "fd00:eb::/96"]}
services:
  world:
    forwarding: %s
    on_backend_loss: move
    listeners:
      - {vip: 203.0.113.10, protocol: tcp, port: 7777}
      - {vip: "2001:db8::10", protocol: tcp, port: 7777}
      - {vip: 203.0.113.10, protocol: udp, port: 7777}
      - {vip: "2001:db8::10", protocol: udp, port: 7777}
    pools:
      blue: {version: "1.9", backends: [%s]}
`, mode, backends)
}

const (
	leaver = `{address: [192.0.2.1, "2001:db8:b::1"]}`
	others = `{address: [192.0.2.2, "2001:db8:b::2"]}, {address: [192.0.2.3, "2001:db8:b::3"]}`
)

// eachMode runs a test for every mode, family and protocol, with a session on the backend that is going to leave.
func eachMode(t *testing.T, test func(t *testing.T, s *site, session frame, leaves uint16)) {
	for _, mode := range []string{"dsr", "nat", "ipip"} {
		for _, vip := range []string{"203.0.113.10", "2001:db8::10"} {
			for _, proto := range []uint8{tcp, udp} {
				t.Run(fmt.Sprintf("%s %s %d", mode, vip, proto), func(t *testing.T) {
					s := mustSite(t, three(mode, leaver+", "+others))
					s.SetOuterSource(netip.MustParsePrefix("10.250.0.0/16"))
					s.SetOuterSource(netip.MustParsePrefix("fd00:eb::/96"))
					leaves := s.id("192.0.2.1", 0)
					session := player(vip, proto, 7777, syn)
					for s.to(session) != leaves {
						session = session.at(session.from.Port() + 1)
					}
					test(t, s, session.flagged(ack), leaves)
				})
			}
		}
	}
}

// mustGetNone checks that a backend gets none of many new sessions.
func (s *site) mustGetNone(t *testing.T, like frame, id uint16) {
	t.Helper()
	for port := range uint16(32) {
		if got := s.to(like.at(1000 + port).flagged(syn)); got == id || got == 0 {
			t.Fatalf("a new session went to backend %d", got)
		}
	}
}

func TestABackendOfWeightZeroKeepsItsSessionsAndGetsNoNewOnes(t *testing.T) {
	eachMode(t, func(t *testing.T, s *site, session frame, leaves uint16) {
		mode := map[maps.Forwarding]string{maps.DSR: "dsr", maps.NAT: "nat", maps.IPIP: "ipip"}[s.im.Backends[leaves].Forwarding]
		s.apply(three(mode, strings.Replace(leaver, "}", ", weight: 0}", 1)+", "+others))
		if got := s.to(session); got != leaves {
			t.Errorf("its session went to backend %d, not to %d", got, leaves)
		}
		s.mustGetNone(t, session, leaves)
		s.apply(three(mode, others))
		if got := s.to(session); got != leaves {
			t.Errorf("removed: its session went to backend %d, not to %d", got, leaves)
		}
		s.mustGetNone(t, session, leaves)
		if kept, _ := s.im.Collect(s.mustSweep(t)); kept.Backends[leaves].Use != maps.Removed {
			t.Error("it was collected with a session")
		}
	})
}

// The daemon's order: out of the tables, then lost. TCP is told, UDP goes on elsewhere.
func TestALostBackendsSessionsMove(t *testing.T) {
	eachMode(t, func(t *testing.T, s *site, session frame, leaves uint16) {
		gone := s.im.Backends[leaves].Addrs
		want := s.im.WithLosses(map[uint16]bool{1: true}, func(a netip.Addr) image.Sight {
			if a == gone[maps.IPv4] || a == gone[maps.IPv6] {
				return image.Gone
			}
			return image.There
		})
		s.write(want)
		for _, f := range maps.Families() {
			s.LoseBackend(f, leaves)
		}
		if read, err := image.Read(s.Tables); err != nil || read.Backends[leaves] != want.Backends[leaves] {
			t.Errorf("a daemon that starts now finds %+v (%v), want %+v", read.Backends[leaves], err, want.Backends[leaves])
		}
		v, out := s.run(t, session.bytes())
		switch to := backendOf(out); {
		case v != tx || to == leaves:
			t.Errorf("verdict %v, to backend %d", v, to)
		case session.proto == tcp && [6]byte(out[:6]) != [6]byte(routerMAC), session.proto == udp && to == 0:
			t.Errorf("went to % x", out[:6])
		}
		n, err := s.Counters(1)
		if s.must(err); n.Moved != 1 {
			t.Errorf("%d sessions moved, want 1", n.Moved)
		}
		s.mustGetNone(t, session, leaves)
	})
}

// A backend that leaves is left: its clients' sessions are bounded by the cap, which counts from the reload, and their flows
// that are there stay. One that comes back has no cap any more.
func TestTheSessionsOfABackendThatLeavesAreBounded(t *testing.T) {
	sessions := func(backends string) string {
		return strings.Replace(three("dsr", backends), "    listeners:", "    affinity: client\n    listeners:", 1)
	}
	whole := sessions(leaver + ", " + others)
	for name, without := range map[string]string{
		"removed": sessions(others), "of weight 0": sessions(strings.Replace(leaver, "}", ", weight: 0}", 1) + ", " + others),
	} {
		for _, vip := range []string{"203.0.113.10", "2001:db8::10"} {
			t.Run(name+" "+vip, func(t *testing.T) {
				s := mustSite(t, whole)
				leaves := s.id("192.0.2.1", 0)
				stays, c := player(vip, udp, 7777, 0), uint32(0)
				for s.to(stays.client(c)) != leaves {
					c++
				}
				stays = stays.client(c)
				ends := player(vip, tcp, 7777, syn).client(c)
				s.send(ends, ends.flagged(ack), ends.flagged(fin|ack))
				s.setFirstEnd(stays.family(), 5000)
				s.apply(without)
				if got := s.to(stays.at(50001)); got != leaves {
					t.Errorf("right after the reload a new flow is on %d, its session on %d", got, leaves)
				}
				s.mustRetire(t, stays.family(), leaves, 600)
				if got := s.to(stays.at(50002)); got != leaves {
					t.Errorf("at the cap a new flow is on %d, its session on %d", got, leaves)
				}
				s.mustRetire(t, stays.family(), leaves, 601)
				if got := s.to(stays.at(50003)); got == leaves || got == 0 {
					t.Errorf("after the cap a new flow is on %d", got)
				}
				if got := s.to(stays); got != leaves {
					t.Errorf("the flow that was there is on %d, was on %d", got, leaves)
				}
				s.apply(whole)
				if b := s.mustRaw(t, stays.family(), leaves); b.Retired != 0 {
					t.Errorf("it is back, and still left at tick %d", b.Retired)
				}
			})
		}
	}
}

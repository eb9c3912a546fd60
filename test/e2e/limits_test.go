package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/bpf"
	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/host"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	limitRate  = 1
	limitBurst = 40
)

// A host floods a service with connections, over TCP and UDP, from the addresses that its own players have: they feel
// nothing, and nor does whoever logs in from elsewhere. It begins as many flows as the limit lets it, and when the flood is
// over it gets in again.
func TestAnAddressThatFloodsHarmsNeitherItsOwnPlayersNorOthers(t *testing.T) {
	s := mustStage(t, limited())
	guilty := []netip.Addr{netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("2001:db8:c::a")}
	others := []netip.Addr{netip.MustParseAddr("198.51.100.11"), netip.MustParseAddr("2001:db8:c2::a")}
	s.mustHaveClients(t, others)
	tab := s.table(t)
	began := tab.now(t)
	const players = 5
	role := s.brisk()
	role.From = guilty
	s.fleet.Add(t.Context(), players, role)
	s.fleet.Exchange(1)

	stop := s.floodFrom(t, guilty)
	eventually(t, "the flood to come", func() bool {
		return s.dropsOf(t, tab, bpf.ProgramReasonDROP_NEW_FLOWS)+uint64(tab.flowsOf(guilty[0])+tab.flowsOf(guilty[1])) > 10*limitBurst
	})
	eventually(t, "explain to say so", func() bool { return s.explainNew(t, guilty[0]) == "drop_new_flows" })
	role.From = others
	s.fleet.Add(t.Context(), players, role)
	s.fleet.Exchange(3)
	stop()
	s.mustNotBreak(t)
	if why := s.explainNew(t, others[0]); why != "" {
		t.Errorf("explain says of new flows of another address: %s", why)
	}
	most := limitBurst + int(tab.plane.Ticks.Rate(limitRate))*int(tab.now(t)-began)
	for _, addr := range guilty {
		if n := tab.flowsOf(addr); n > most {
			t.Errorf("%s has begun %d flows, want %d at most", addr, n, most)
		}
	}

	// Its first SYN may be dropped: the kernel sends it again.
	role.From, role.Endpoints = guilty, s.endpoints[:1]
	s.fleet.Add(t.Context(), 1, role)
	s.fleet.Exchange(1)
	s.mustNotBreak(t)
	if n, want := s.fleet.Totals().Sessions, 2*players*len(s.endpoints)+1; n != want {
		t.Errorf("%d sessions are in progress, want %d", n, want)
	}
}

// explainNew is why a new flow of an address would be dropped, as explain says; "": it would not.
func (s *stage) explainNew(t *testing.T, addr netip.Addr) (why string) {
	t.Helper()
	err := s.host.Client.Explain(t.Context(), api.ExplainRequest{Client: addr.String()}, func(e api.Explanation) error {
		if e.Packet == api.PacketNew {
			why = e.Reason
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return why
}

// limited is of clients who may begin so many flows each.
func limited() setting {
	set := setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}, networks: []string{"tcp", "udp"}, timeouts: calm}
	set.yaml = func(l *lab.Lab) string {
		svc := set.service(service, port)
		svc.Limits = fmt.Sprintf("{new_flows: {rate: %d, burst: %d, ipv4_prefix: 32, ipv6_prefix: 64}}", limitRate, limitBurst)
		return host.YAML(l, set.forwarding, 65536, svc)
	}
	return set
}

// mustHaveClients gives the client's host more addresses, of whatever subnet.
func (s *stage) mustHaveClients(t *testing.T, addrs []netip.Addr) {
	t.Helper()
	for _, addr := range addrs {
		alone := netip.PrefixFrom(addr, addr.BitLen())
		if err := errors.Join(s.lab.Client.AddAddress("eth0", alone), s.lab.Router.Route(alone, "clients", netip.Addr{})); err != nil {
			t.Fatal(err)
		}
	}
}

// now is the data plane's clock.
func (tab table) now(t *testing.T) uint32 {
	t.Helper()
	now, err := tab.plane.Now()
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// flowsOf counts the entries of a client's address.
func (tab table) flowsOf(client netip.Addr) (n int) {
	for f := range tab.plane.Tables.Flows() {
		if f.Client.Addr() == client {
			n++
		}
	}
	return n
}

// floodFrom opens one connection after the other from these addresses, by their kernel, to every endpoint of their families,
// until it is stopped.
func (s *stage) floodFrom(t *testing.T, addrs []netip.Addr) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, to := range s.endpoints {
		from := addrs[0]
		if to.Addr.Addr().Is6() {
			from = addrs[1]
		}
		for range 4 { // each waits for what nobody answers
			wg.Go(func() {
				for ctx.Err() == nil {
					s.begin(ctx, from, to)
				}
			})
		}
	}
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// begin begins a flow, and goes.
func (s *stage) begin(ctx context.Context, from netip.Addr, to game.Endpoint) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond) // no more than a small machine bears
	defer cancel()
	conn, err := s.lab.Client.DialFrom(ctx, to.Network, netip.AddrPortFrom(from, 0), to.Addr)
	if err != nil {
		return // refused, as it should be
	}
	defer conn.Close()
	if to.Network == "udp" {
		fmt.Fprint(conn, "not of the game")
		<-ctx.Done()
	}
}

package operate

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/lab"
)

// outerSources are written as the file has them.
const outerSources = `[10.250.0.0/16, "fd00:eb::/96"]`

// A machine that takes IP in IP gets each player's packet whole, in a header whose source is the operator's.
func TestAnIPIPServiceCarriesPacketsOfBothFamilies(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	blue, green := s.lab.Backend("blue1"), s.lab.Backend("green1")
	yaml := strings.NewReplacer(
		"forwarding: dsr", "forwarding: ipip",
		"services:\n", "ipip: {source: "+outerSources+"}\nservices:\n",
		"["+green.V4.String()+", ", "[",
	).Replace(s.yaml())
	s.configure(t, yaml)
	s.start(t)
	t.Cleanup(func() {
		if err := s.host.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.host.AwaitHops(t)
	if svc := s.service(t); svc.Forwarding != "ipip" || len(s.generation(t, 2).Backends[0].NextHops) != 1 {
		t.Errorf("status: %+v", svc)
	}
	s.mustHaveRoom(t)
	s.mustCarry(t, blue, lab.VIP4, "ip4:4", blue.V4, "10.250.0.0/16")
	s.mustCarry(t, blue, lab.VIP6, "ip6:41", blue.V6, "fd00:eb::/96")
	s.flip(t)
	s.mustCarry(t, green, lab.VIP4, "ip6:4", green.V6, "fd00:eb::/96")
	s.mustCarry(t, green, lab.VIP6, "ip6:41", green.V6, "fd00:eb::/96")

	s.configure(t, strings.Replace(yaml, "10.250.0.0/16", "10.251.0.0/20", 1))
	s.do(t, "reload").mustBe(t, 0, "SERVICE  CHANGE\n-        ipip.source from 10.250.0.0/16 to 10.251.0.0/20\n", "")
	s.do(t, "plan").mustBe(t, 0, "no changes\n", "")
}

// mustHaveRoom checks that the outer header is taken off what a way has room for.
func (s *stage) mustHaveRoom(t *testing.T) {
	t.Helper()
	p, err := s.host.Plane()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, f := range maps.Families() {
		for id, b := range p.Tables.Backends(f) {
			want := map[maps.Family]uint16{maps.IPv4: 1480, maps.IPv6: 1460}[b.Outer]
			if hop, _ := p.Tables.Hop(f, id); hop.Room != want || b.Addr.Is4() != (b.Outer == maps.IPv4) {
				t.Errorf("backend %v: room for %d bytes, want %d", b.Addr, hop.Room, want)
			}
		}
	}
}

// mustCarry sends datagrams of several flows to a VIP, and reads them at the backend's own address.
func (s *stage) mustCarry(t *testing.T, b *lab.Backend, vip netip.Addr, network string, at netip.Addr, source string) {
	t.Helper()
	var conn net.PacketConn
	err := b.Do(func() (err error) {
		conn, err = net.ListenPacket(network, at.String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sources := map[string]bool{}
	for range 4 {
		player, err := s.lab.Client.Dial(t.Context(), "udp", netip.AddrPortFrom(vip, port))
		if err != nil {
			t.Fatal(err)
		}
		const said = "let me in"
		_, err = player.Write([]byte(said))
		player.Close()
		if err != nil {
			t.Fatal(err)
		}
		packet := make([]byte, 2048)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			t.Fatalf("%s at %s: %v", network, at, err)
		}
		version := map[bool]byte{true: 4, false: 6}[vip.Is4()]
		if packet[0]>>4 != version || !strings.HasSuffix(string(packet[:n]), said) {
			t.Errorf("%s at %s: got % x", network, at, packet[:n])
		}
		addr, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
		if !netip.MustParsePrefix(source).Contains(addr.Unmap()) {
			t.Errorf("%s at %s: from %s, want one of %s", network, at, addr, source)
		}
		sources[addr.String()] = true
	}
	if len(sources) < 2 {
		t.Errorf("%s at %s: all flows come from %v", network, at, sources)
	}
}

package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/test/game"
	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	small = 1024       // max_flows
	many  = 10 * small // flows of a flood
)

func TestFloodsTakeNoPinFromAnEstablishedSession(t *testing.T) {
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			flood(t, setting{forwarding: forwarding, vips: []netip.Addr{lab.VIP4, lab.VIP6}, maxFlows: small, timeouts: calm})
		})
	}
}

func flood(t *testing.T, set setting) {
	s := mustStage(t, set)
	tab, floods := s.table(t), s.floods(t)
	const players = 75
	s.fleet.Add(t.Context(), players, s.role())
	established := 4*players + len(floods.pace)
	eventually(t, "all sessions to be established", func() bool {
		floods.breathe(t)
		return tab.count(maps.Established) == established
	})
	for name, say := range map[string]func(*stranger){
		"SYN":         func(c *stranger) { c.says(t, syn) },
		"SYN and ACK": func(c *stranger) { c.says(t, syn); c.says(t, ack) },
		"stray ACK":   func(c *stranger) { c.says(t, ack) },
		"UDP":         func(c *stranger) { c.datagram(t) },
		"UDP twice":   func(c *stranger) { c.datagram(t); c.datagram(t) },
	} {
		floods.run(t, s, say)
		if n := tab.count(maps.Established); n != established {
			t.Errorf("%d sessions are established after the flood of %s, want %d", n, name, established)
		}
	}
	tab.mustHaveReplaced(t)
	s.flip(t)
	s.fleet.Exchange(2)
	s.mustNotBreak(t)
	drops, err := s.lab.Drops()
	t.Logf("lost by the lab itself: %v (%v)", drops, err)
	if n := s.fleet.Totals().Colours["blue"]; n != 4*players {
		t.Errorf("%d sessions play on blue after the flip, want %d", n, 4*players)
	}
}

// count is the number of flows in a state.
func (tab table) count(state maps.FlowState) int {
	n := 0
	for f := range tab.plane.Tables.Flows() {
		if f.State == state {
			n++
		}
	}
	return n
}

// mustHaveReplaced checks that floods have filled the table: its flows made room for each other.
func (tab table) mustHaveReplaced(t *testing.T) {
	t.Helper()
	reasons, err := tab.plane.Tables.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"event_replaced_half_open", "event_replaced_young"} {
		if reasons[name] == 0 {
			t.Errorf("%s: 0 after the floods: they did not fill the table", name)
		}
	}
}

// floods come from networks that the router sends nothing back to. Between a few clients and the next a session of each
// backend is heard, so that it is the table that is flooded and not the lab's queues.
type floods struct {
	wire *wire
	next uint32
	pace map[string]*game.Session // by backend
}

func (s *stage) floods(t *testing.T) *floods {
	t.Helper()
	for _, prefix := range []string{"192.0.2.0/24", "2001:db8:f::/64"} {
		_, dst, err := net.ParseCIDR(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.lab.Router.Netlink().RouteAdd(&netlink.Route{Dst: dst, Type: unix.RTN_BLACKHOLE}); err != nil {
			t.Fatal(err)
		}
	}
	// A backend that sends its SYN-ACKs to nobody again, thousands at a time, fills the lab's queues with them.
	for _, b := range s.lab.Backends {
		if err := b.NS.Sysctl("net/ipv4/tcp_synack_retries", "0"); err != nil {
			t.Fatal(err)
		}
	}
	f := &floods{wire: s.wire(t), pace: map[string]*game.Session{}}
	for len(f.pace) < 2 { // there are two blue backends
		session := s.mustSession(t)
		if have := f.pace[session.Report().Backend]; have != nil {
			have.Logout()
		}
		f.pace[session.Report().Backend] = session
	}
	return f
}

// breathe waits until what was sent has gone through.
func (f *floods) breathe(t *testing.T) {
	t.Helper()
	for _, session := range f.pace {
		if err := session.Ask(); err != nil {
			t.Fatal(err)
		}
	}
}

// run sends from as many clients as a flood has, none of them seen before, to each address.
func (f *floods) run(t *testing.T, s *stage, say func(*stranger)) {
	t.Helper()
	for i := range many {
		for _, e := range s.endpoints {
			if e.Network == "tcp" {
				say(f.client(e.Addr))
			}
		}
		if i%8 == 0 {
			f.breathe(t)
		}
	}
	f.breathe(t)
}

// client is one that has not been seen before, of the family of to.
func (f *floods) client(to netip.AddrPort) *stranger {
	f.next++
	addr := binary.BigEndian.AppendUint32(netip.MustParseAddr("2001:db8:f::").AsSlice()[:12], f.next>>15)
	if to.Addr().Is4() {
		addr = []byte{192, 0, 2, byte(f.next >> 15)}
	}
	from, _ := netip.AddrFromSlice(addr)
	return &stranger{wire: f.wire, from: netip.AddrPortFrom(from, uint16(f.next&0x7fff)+1024), to: to, seq: f.next}
}

// datagram sends something over UDP, from the port and to the port of the connection.
func (c *stranger) datagram(t *testing.T) {
	t.Helper()
	c.send(t, frame{from: c.from, to: c.to, proto: udp, payload: []byte("not of the game")})
}

// establish makes every young flow an established one, as ten seconds of traffic would.
func (tab table) establish(t *testing.T) {
	t.Helper()
	const state = maps.Meta(7) // the bits of the state
	for f := range tab.plane.Tables.Flows() {
		if f.State != maps.Young {
			continue
		}
		old := tab.plane.Tables.Meta(f.Family, f.Slot)
		tab.plane.Tables.SwapMeta(f.Family, f.Slot, old, old&^state|maps.Meta(maps.Established)) // lost: it is in use, and young still
	}
}

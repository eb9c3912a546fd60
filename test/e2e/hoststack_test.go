package e2e

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

// What is for a listener and cannot be served is dropped: the host's own stack, which holds the VIP, would answer it
// with a RST or with port unreachable.
func TestNothingForAListenerReachesTheHostsOwnStack(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	wire := s.wire(t)
	before := s.stackCounters(t)
	s.fleet.Add(t.Context(), 3, s.brisk())
	s.fleet.Exchange(2)
	s.unserved(t, wire, 26000)
	for _, b := range s.lab.Backends[2:] { // green goes dark
		if err := setDown(b.NS); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a dark backend to be known as such", func() bool { return s.hopsOf(t, b.V4) == 0 })
	}
	if _, err := s.host.Client.Flip(t.Context(), api.FlipRequest{Service: service, Force: true}); err != nil {
		t.Fatal(err)
	}
	s.unserved(t, wire, 27000)
	s.fleet.Exchange(2) // goes the same way, after what was sent
	for name, n := range s.stackCounters(t) {
		if n != before[name] {
			t.Errorf("%s of the host's stack went from %d to %d", name, before[name], n)
		}
	}
	s.mustNotBreak(t)
	s.mustHearTheStack(t, wire, before)
}

// unserved sends to the listeners what nobody can serve.
func (s *stage) unserved(t *testing.T, w *wire, from uint16) {
	t.Helper()
	for _, e := range s.endpoints {
		proto := map[string]uint8{"tcp": tcp, "udp": udp}[e.Network]
		for i, flags := range []uint8{syn, ack, fin | ack, rst, syn | ack} {
			f := frame{from: nobody(e.Addr.Addr(), from+uint16(i)), to: e.Addr, proto: proto, flags: flags, payload: []byte("x")}
			w.send(t, f)
			if e.Addr.Addr().Is4() {
				f.fragment = 0x2000 // more to come
				w.send(t, f)
			}
			if proto == udp {
				break
			}
		}
	}
}

// mustHearTheStack checks that the counters would have shown it: a port without a listener is the stack's.
func (s *stage) mustHearTheStack(t *testing.T, w *wire, before map[string]uint64) {
	t.Helper()
	c := &stranger{wire: w, from: nobody(lab.VIP4, 28000), to: netip.AddrPortFrom(lab.VIP4, port+1)}
	c.says(t, syn)
	c.hears(t, rst)
	if s.stackCounters(t)["TcpInSegs"] == before["TcpInSegs"] {
		t.Error("a SYN to the stack is not among its counters: this test sees nothing")
	}
}

// stackCounters are the load balancer's own, of what its stack took in or answered as an end of a connection.
func (s *stage) stackCounters(t *testing.T) map[string]uint64 {
	t.Helper()
	var snmp, snmp6 []byte
	if err := s.lab.LB.Do(func() (err error) {
		if snmp, err = os.ReadFile("/proc/thread-self/net/snmp"); err != nil {
			return err
		}
		snmp6, err = os.ReadFile("/proc/thread-self/net/snmp6")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	lines := strings.Split(string(snmp), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for j := 1; j < len(names); j++ {
			keep(out, strings.TrimSuffix(names[0], ":")+names[j], values[j])
		}
	}
	for line := range strings.Lines(string(snmp6)) {
		if f := strings.Fields(line); len(f) == 2 {
			keep(out, f[0], f[1])
		}
	}
	return out
}

func keep(out map[string]uint64, name, value string) {
	switch name {
	case "TcpInSegs", "TcpOutSegs", "TcpOutRsts", "UdpInDatagrams", "UdpNoPorts", "Udp6InDatagrams", "Udp6NoPorts",
		"IpReasmReqds", "Ip6ReasmReqds", "IcmpOutDestUnreachs", "Icmp6OutDestUnreachs":
		out[name], _ = strconv.ParseUint(value, 10, 64)
	}
}

func setDown(ns *lab.NS) error {
	link, err := ns.Netlink().LinkByName("eth0")
	if err != nil {
		return err
	}
	return ns.Netlink().LinkSetDown(link)
}

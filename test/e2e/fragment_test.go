package e2e

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

// Datagrams that take several packets, cut up and put together by kernel stacks: there, and in nat back as well. Their
// checksum is over all of it.
func TestDatagramsInFragments(t *testing.T) {
	t.Parallel()
	for _, forwarding := range []lab.Forwarding{lab.DSR, lab.NAT} {
		t.Run(forwarding.String(), func(t *testing.T) {
			t.Parallel()
			s := mustStage(t, setting{
				forwarding: forwarding, networks: []string{"udp"}, vips: []netip.Addr{lab.VIP4, lab.VIP6}, noWorld: true,
			})
			s.echoDatagrams(t)
			for _, e := range s.endpoints {
				before := s.reasons(t)
				for _, size := range []int{1000, 2000, 5000, 20000, 60000} {
					s.exchangeDatagram(t, e.Addr, bytes.Repeat([]byte{byte(size)}, size))
				}
				after := s.reasons(t)
				least := uint64(1 + 3 + 13 + 40) // later fragments, of 1480 bytes at most
				if forwarding == lab.NAT {
					least *= 2
				}
				if n := after["event_fragment"] - before["event_fragment"]; n < least {
					t.Errorf("%v: %d fragments followed their first, want %d at least", e.Addr, n, least)
				}
				if after["drop_fragment"] != before["drop_fragment"] {
					t.Errorf("%v: drop_fragment went from %d to %d", e.Addr, before["drop_fragment"], after["drop_fragment"])
				}
			}
		})
	}
}

// echoDatagrams: every backend sends back what it is sent.
func (s *stage) echoDatagrams(t *testing.T) {
	t.Helper()
	for _, b := range s.lab.Backends {
		for _, e := range s.endpoints {
			c, err := b.ListenPacket("udp", netip.AddrPortFrom(b.Address(e.Addr.Addr()), port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			go echoUntilClosed(c)
		}
	}
}

func echoUntilClosed(c *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if _, err := c.WriteToUDPAddrPort(buf[:n], from); err != nil {
			return // the client says what is missing
		}
	}
}

func (s *stage) exchangeDatagram(t *testing.T, to netip.AddrPort, out []byte) {
	t.Helper()
	c, err := s.lab.Client.Dial(t.Context(), "udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(forEver)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, 1<<16)
	if n, err := c.Read(back); err != nil || !bytes.Equal(back[:n], out) {
		t.Fatalf("%v: of %d bytes %d came back: %v", to, len(out), n, err)
	}
}

package tunnel

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

const (
	// bulk is more than what windows hold at first, so that a way that swallows large packets stops it.
	bulk = 128 << 10
	// datagram takes more than a dozen packets.
	datagram = 20_000
)

// sendLarge sends packets that have no room left for the outer header: what a client's stack sends at first, a program on
// the way tells it to make smaller, and then all of it arrives. Some stacks know already.
func (s *stage) sendLarge(t *testing.T, tells func(vip netip.Addr) bool) {
	t.Helper()
	for _, l := range links {
		for _, vip := range l.vips {
			to := netip.AddrPortFrom(vip, large)
			before := s.host.Status(t).Reasons
			s.sendBulk(t, to)
			after := s.host.Status(t).Reasons
			if tells(vip) && after["event_too_big"] == before["event_too_big"] {
				t.Errorf("%v %s: no packet was too big, so this has not tested", to, l.name)
			}
			s.sendDatagram(t, to)
			if n := s.host.Status(t).Reasons["event_fragment"] - after["event_fragment"]; n < datagram/1500 {
				t.Errorf("%v %s: %d fragments followed their first, want %d at least", to, l.name, n, datagram/1500)
			}
		}
	}
}

// serveLarge has every backend say when it has bulk, and send datagrams back.
func (s *stage) serveLarge(t *testing.T) {
	t.Helper()
	for _, b := range s.lab.Backends {
		for _, l := range links {
			for _, vip := range l.vips {
				at := netip.AddrPortFrom(b.Address(vip), large)
				tcp, err := b.Listen("tcp", at)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { tcp.Close() })
				go takeBulk(tcp)
				udp, err := b.ListenPacket("udp", at)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { udp.Close() })
				go echo(udp)
			}
		}
	}
}

// takeBulk serves one connection after the other until it is closed. What is missing, the client says.
func takeBulk(l *net.TCPListener) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return
		}
		if n, err := io.CopyN(io.Discard, c, bulk); err == nil && n == bulk {
			_, _ = c.Write([]byte{1})
		}
		c.Close()
	}
}

// echo sends datagrams back until it is closed. An answer that is too long for its way is sent again, smaller, when the
// client asks again.
func echo(c *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort(buf[:n], from)
	}
}

func (s *stage) sendBulk(t *testing.T, to netip.AddrPort) {
	t.Helper()
	c, err := s.lab.Client.Dial(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(lab.ForEver)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, bulk)); err != nil {
		t.Fatalf("%v: send: %v", to, err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatalf("%v: %d bytes did not arrive: %v", to, bulk, err)
	}
}

// sendDatagram asks until it is answered: the first time a stack may learn how much fits.
func (s *stage) sendDatagram(t *testing.T, to netip.AddrPort) {
	t.Helper()
	c, err := s.lab.Client.Dial(t.Context(), "udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, back := bytes.Repeat([]byte{7}, datagram), make([]byte, 1<<16)
	for deadline := time.Now().Add(lab.ForEver); time.Now().Before(deadline); {
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(back); err == nil && bytes.Equal(back[:n], out) {
			return
		}
	}
	t.Errorf("%v: no answer to a datagram of %d bytes", to, datagram)
}

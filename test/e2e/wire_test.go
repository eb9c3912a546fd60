package e2e

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/test/lab"
)

// wire sends and hears frames at the router's side of the load balancer, as if they were clients'. Its clients are
// nobody's addresses, so no kernel answers for them.
type wire struct {
	file            *os.File
	router, balance [6]byte
}

// nobody is client n of those that no host has.
func nobody(vip netip.Addr, port uint16) netip.AddrPort {
	if vip.Is4() {
		return netip.AddrPortFrom(netip.MustParseAddr("198.51.100.250"), port)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("2001:db8:c::fa"), port)
}

// wire opens the router's interface towards the load balancer.
func (s *stage) wire(t *testing.T) *wire {
	t.Helper()
	iface := "lan"
	if len(s.lab.Interfaces()) == 2 {
		iface = "front"
	}
	w := &wire{router: mustMAC(t, s.lab.Router, iface), balance: mustMAC(t, s.lab.LB, "eth0")}
	index, err := s.lab.Router.Index(iface)
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if err := s.lab.Router.Do(func() (err error) {
		fd, err = packetSocket(index)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.file = os.NewFile(uintptr(fd), "packet")
	t.Cleanup(func() { w.file.Close() })
	return w
}

func mustMAC(t *testing.T, ns *lab.NS, iface string) [6]byte {
	t.Helper()
	mac, err := ns.MAC(iface)
	if err != nil {
		t.Fatal(err)
	}
	return [6]byte(mac)
}

// packetSocket hears what comes in by an interface, and waits for it by way of the runtime's poller.
func packetSocket(index int) (int, error) {
	every := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// send sends a frame to the load balancer, unless it has another destination.
func (w *wire) send(t *testing.T, f frame) {
	t.Helper()
	f.src = w.router
	if f.dst == [6]byte{} {
		f.dst = w.balance
	}
	if _, err := w.file.Write(f.bytes()); err != nil {
		t.Fatal(err)
	}
}

// hear waits for a frame.
func (w *wire) hear(t *testing.T, what string, ok func(frame) bool) frame {
	t.Helper()
	if err := w.file.SetReadDeadline(time.Now().Add(forEver)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if f, is := parse(buf[:n]); is && ok(f) {
			return f
		}
	}
}

// stranger is a TCP client made by hand.
type stranger struct {
	*wire
	from, to netip.AddrPort
	seq, ack uint32
}

// says sends a segment of the connection: what the flags say, and a payload.
func (c *stranger) says(t *testing.T, flags uint8, payload ...byte) {
	t.Helper()
	c.send(t, frame{from: c.from, to: c.to, proto: tcp, flags: flags, seq: c.seq, ack: c.ack, payload: payload})
}

// hears waits for a segment with these flags.
func (c *stranger) hears(t *testing.T, flags uint8) frame {
	t.Helper()
	return c.hear(t, "an answer to "+c.from.String(), func(f frame) bool {
		return f.proto == tcp && f.from == c.to && f.to == c.from && f.flags&flags == flags
	})
}

// accepted ends a handshake that was answered.
func (c *stranger) accepted(t *testing.T, answer frame) {
	t.Helper()
	c.seq, c.ack = c.seq+1, answer.seq+1
	c.says(t, ack)
}

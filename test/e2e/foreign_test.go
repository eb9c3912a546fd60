package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/test/lab"
)

func TestForeignTrafficPassesToTheHost(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{vips: []netip.Addr{lab.VIP4, lab.VIP6}})
	s.fleet.Add(t.Context(), 2, s.brisk())
	addrs := append(s.lab.LBAddresses(), lab.VIP4, lab.VIP6)
	for _, addr := range addrs {
		t.Run(addr.String(), func(t *testing.T) {
			if err := s.lab.ForgetNeighbours(); err != nil { // so that ARP and neighbour discovery have to pass, too
				t.Fatal(err)
			}
			if err := ping(s.lab.Client, addr); err != nil {
				t.Errorf("ping: %v", err)
			}
			if err := s.talkTCP(t, netip.AddrPortFrom(addr, 9999)); err != nil {
				t.Errorf("TCP to a port of the host: %v", err)
			}
		})
	}
	s.fleet.Exchange(2)
	s.mustBeWhole(t)
}

// ping sends an echo request and waits for its answer.
func ping(from *lab.NS, to netip.Addr) error {
	network, request := "ip4:icmp", byte(8)
	if !to.Is4() {
		network, request = "ip6:ipv6-icmp", 128 // whose checksum the kernel computes
	}
	var conn net.Conn
	err := from.Do(func() (err error) {
		conn, err = net.Dial(network, to.String())
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	msg := []byte{request, 0, 0, 0, 0xeb, 0xbb, 0, 1}
	if to.Is4() {
		binary.BigEndian.PutUint16(msg[2:], ^sum16(msg))
	}
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	return awaitEcho(conn, to)
}

func awaitEcho(conn net.Conn, to netip.Addr) error {
	reply := byte(0)
	if !to.Is4() {
		reply = 129
	}
	if err := conn.SetReadDeadline(time.Now().Add(forEver)); err != nil {
		return err
	}
	for buf := make([]byte, 256); ; {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		msg := buf[:n]
		if to.Is4() && n > 20 {
			msg = msg[20:] // a raw IPv4 socket gives the IP header, too
		}
		if len(msg) >= 8 && msg[0] == reply && msg[4] == 0xeb && msg[5] == 0xbb {
			return nil
		}
	}
}

// talkTCP exchanges a byte with a server on the load balancer itself.
func (s *stage) talkTCP(t *testing.T, at netip.AddrPort) error {
	t.Helper()
	ln, err := s.lab.LB.Listen("tcp", at)
	if err != nil {
		return err
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			conn.Write([]byte{42})
			conn.Close()
		}
	}()
	ctx, stop := context.WithTimeout(t.Context(), forEver)
	defer stop()
	conn, err := s.lab.Client.Dial(ctx, "tcp", at)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 2)
	n, err := conn.Read(buf)
	if n != 1 || buf[0] != 42 {
		return errors.Join(fmt.Errorf("heard %d bytes", n), err)
	}
	return nil
}

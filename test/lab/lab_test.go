package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
)

// topologies are all that a lab can be.
func topologies() []Options {
	var all []Options
	for _, arms := range []Arms{OneArm, TwoArms} {
		for _, f := range []Forwarding{DSR, NAT} {
			all = append(all, Options{Arms: arms, Forwarding: f, VIPWay: Held})
		}
	}
	return all
}

func TestClientTalksToEveryBackendWithoutALoadBalancer(t *testing.T) {
	for _, opts := range topologies() {
		t.Run(fmt.Sprint(opts.Arms, "/", opts.Forwarding), func(t *testing.T) {
			t.Parallel()
			l := Must(t, opts)
			for _, b := range l.Backends {
				for _, addr := range []netip.Addr{b.V4, b.V6} {
					mustEchoTCP(t, l.Client, b.NS, addr)
					mustEchoUDP(t, l.Client, b.NS, addr)
				}
			}
			for _, addr := range append(l.LBAddresses(), VIP4, VIP6) {
				mustEchoTCP(t, l.Client, l.LB, addr)
			}
			mustHaveNoDrops(t, l)
		})
	}
}

// mustEchoTCP sends more than one segment to and fro.
func mustEchoTCP(tb testing.TB, from, to *NS, addr netip.Addr) {
	tb.Helper()
	ln, err := to.Listen("tcp", netip.AddrPortFrom(addr, 7777))
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if conn, err := ln.Accept(); err == nil {
			io.Copy(conn, conn)
			conn.Close()
		}
	}()
	conn, err := from.Dial(context.Background(), "tcp", netip.AddrPortFrom(addr, 7777))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	mustEcho(tb, conn, bytes.Repeat([]byte("tide"), 4096))
}

// mustEchoUDP sends one packet to and fro.
func mustEchoUDP(tb testing.TB, from, to *NS, addr netip.Addr) {
	tb.Helper()
	pc, err := to.ListenPacket("udp", netip.AddrPortFrom(addr, 7777))
	if err != nil {
		tb.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 2048)
		if n, peer, err := pc.ReadFromUDPAddrPort(buf); err == nil {
			pc.WriteToUDPAddrPort(buf[:n], peer)
		}
	}()
	conn, err := from.Dial(context.Background(), "udp", netip.AddrPortFrom(addr, 7777))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	mustEcho(tb, conn, []byte("tide"))
}

// mustEcho sends and expects the same back.
func mustEcho(tb testing.TB, conn net.Conn, sent []byte) {
	tb.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(sent)
		written <- err
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil {
		tb.Fatalf("%s: %v", conn.RemoteAddr(), err)
	}
	if err := <-written; err != nil {
		tb.Fatal(err)
	}
	if !bytes.Equal(sent, got) {
		tb.Fatalf("%s: other bytes came back", conn.RemoteAddr())
	}
}

// mustHaveNoDrops checks that the network lost nothing.
func mustHaveNoDrops(tb testing.TB, l *Lab) {
	tb.Helper()
	drops, err := l.Drops()
	if err != nil {
		tb.Fatal(err)
	}
	for where, n := range drops {
		tb.Errorf("%d drops at %s", n, where)
	}
}

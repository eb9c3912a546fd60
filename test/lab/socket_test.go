package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketsAreInTheNamespaceThatMadeThem(t *testing.T) {
	l := Must(t, Options{Forwarding: NAT, Backends: []string{"blue1"}})
	b := l.Backend("blue1")
	for _, addr := range []netip.Addr{b.V4, b.V6} {
		at := netip.AddrPortFrom(addr, 7777)
		ln, err := b.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		pc, err := b.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		mustBeIn(t, b.NS, ln)
		mustBeIn(t, b.NS, pc)
		for _, network := range []string{"tcp", "udp"} {
			conn, err := l.Client.Dial(context.Background(), network, at)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			mustBeIn(t, l.Client, conn.(syscall.Conn))
		}
	}
}

// mustBeIn checks in which namespace a socket is.
func mustBeIn(tb testing.TB, ns *NS, socket syscall.Conn) {
	tb.Helper()
	raw, err := socket.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var got string
	ctlErr := raw.Control(func(fd uintptr) { got, err = socketNS(int(fd)) })
	want, wantErr := inode(int(ns.fd))
	if err := errors.Join(err, ctlErr, wantErr); err != nil {
		tb.Fatal(err)
	}
	if got != want {
		tb.Errorf("%T is in namespace %s, want %s (%s)", socket, got, want, ns.Name)
	}
}

// socketNS is the inode of a socket's namespace.
func socketNS(fd int) (string, error) {
	ns, err := unix.IoctlRetInt(fd, unix.SIOCGSKNS)
	if err != nil {
		return "", fmt.Errorf("namespace of a socket: %w", err)
	}
	defer unix.Close(ns)
	return inode(ns)
}

// inode identifies an open file.
func inode(fd int) (string, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), err
}

func TestDoPutsTheThreadBack(t *testing.T) {
	l := Must(t, Options{Backends: []string{}})
	home := mustLink(t, "thread-self")
	failed := errors.New("failed")
	var inside string
	err := l.Client.Do(func() error {
		inside = mustLink(t, "thread-self")
		return failed
	})
	if !errors.Is(err, failed) || inside == home {
		t.Errorf("Do: error %v, inside %s, outside %s", err, inside, home)
	}
	if now := mustLink(t, "thread-self"); now != home {
		t.Errorf("after Do in %s, want %s", now, home)
	}
}

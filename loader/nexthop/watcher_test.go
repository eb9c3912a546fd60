package nexthop

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
)

var (
	backend4 = netip.MustParseAddr("192.0.2.11")
	backend6 = netip.MustParseAddr("2001:db8::11")
	families = []netip.Addr{backend4, backend6}
	newMAC   = [6]byte{2, 0, 0, 0, 0x99, 1}
)

// mustPair is a balancer and a backend on one wire, both families.
func mustPair(t *testing.T) (lb, backend space) {
	t.Helper()
	lb, backend = mustSpace(t), mustSpace(t)
	mustWire(t, lb, backend, "eth0")
	lb.addr(t, "eth0", "192.0.2.1/24", "2001:db8::1/64")
	backend.addr(t, "eth0", "192.0.2.11/24", "2001:db8::11/64")
	return lb, backend
}

func onLink(addrs ...netip.Addr) map[netip.Addr]Mode { return modes(OnLink, addrs...) }

func modes(m Mode, addrs ...netip.Addr) map[netip.Addr]Mode {
	out := make(map[netip.Addr]Mode)
	for _, a := range addrs {
		out[a] = m
	}
	return out
}

func TestABackendOnTheLinkIsResolved(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	w.Set(onLink(families...), "eth0")
	for _, addr := range families {
		want := Hop{
			State: Resolved, IfIndex: lb.link(t, "eth0").Attrs().Index, IfName: "eth0", Below: lb.link(t, "eth0").Attrs().Index,
			SrcMAC: lb.mac(t, "eth0"), DstMAC: backend.mac(t, "eth0"), MTU: 1500,
		}
		if h := w.awaitMAC(t, addr, want.DstMAC); h != want {
			t.Errorf("told %+v, want %+v", h, want)
		}
		if h, ok := w.Get(addr); !ok || h != want {
			t.Errorf("got %+v, want %+v", h, want)
		}
	}
}

func TestAnAddressThatIsNoLongerWantedIsForgotten(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	w.Set(onLink(backend4))
	w.awaitMAC(t, backend4, backend.mac(t, "eth0"))
	w.Set(onLink(backend6))
	w.awaitMAC(t, backend6, backend.mac(t, "eth0"))
	if h, ok := w.Get(backend4); ok {
		t.Errorf("still there: %v", h)
	}
}

func TestCloseEndsRunAndLeavesTheResults(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	w.Set(onLink(backend4))
	want := w.awaitMAC(t, backend4, backend.mac(t, "eth0"))
	w.Close()
	w.Close()
	if h, ok := w.Get(backend4); !ok || h != want {
		t.Errorf("got %v", h)
	}
}

func TestAClosedWatcherDoesNotRun(t *testing.T) {
	lb := mustSpace(t)
	lb.in(t, func() error {
		w, err := New(Options{})
		if err != nil {
			return err
		}
		w.Close()
		if err := w.Run(context.Background()); !errors.Is(err, os.ErrClosed) {
			t.Errorf("run: %v", err)
		}
		return nil
	})
}

package nexthop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// deadline is when a test gives up; nothing is measured against it.
const deadline = 30 * time.Second

// space is a network namespace of the test.
type space struct {
	*netlink.Handle
	ns netns.NsHandle
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustSpace(t *testing.T) space {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("needs root")
	}
	// It has no name: nobody else's sweep finds it, and it ends with this process.
	ns, err := netns.None(), error(nil)
	elsewhere(func() { ns, err = netns.New() })
	must(t, err)
	h, err := netlink.NewHandleAt(ns)
	must(t, err)
	t.Cleanup(func() {
		h.Close()
		must(t, ns.Close())
	})
	s := space{h, ns}
	// Duplicate address detection would hold up IPv6 for seconds.
	s.sysctl(t, "ipv6/conf/default/accept_dad", "0")
	return s
}

// elsewhere runs f on a thread that may change its namespace and ends with it.
func elsewhere(f func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread()
		f()
	})
	wg.Wait()
}

func (s space) in(t *testing.T, f func() error) {
	t.Helper()
	var err error
	elsewhere(func() {
		if err = netns.Set(s.ns); err == nil {
			err = f()
		}
	})
	must(t, err)
}

func (s space) sysctl(t *testing.T, name, value string) {
	t.Helper()
	s.in(t, func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// mustWire connects a and b by a veth that has the same name on both sides.
func mustWire(t *testing.T, a, b space, name string) {
	t.Helper()
	must(t, a.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: name},
		PeerName:      name,
		PeerNamespace: netlink.NsFd(b.ns),
	}))
	must(t, a.LinkSetUp(a.link(t, name)))
	must(t, b.LinkSetUp(b.link(t, name)))
}

func (s space) link(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := s.LinkByName(name)
	must(t, err)
	return l
}

func (s space) mac(t *testing.T, name string) (mac [6]byte) {
	t.Helper()
	copy(mac[:], s.link(t, name).Attrs().HardwareAddr)
	return mac
}

func (s space) setMAC(t *testing.T, name string, mac [6]byte) {
	t.Helper()
	must(t, s.LinkSetHardwareAddr(s.link(t, name), mac[:]))
}

func (s space) addr(t *testing.T, name string, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		a, err := netlink.ParseAddr(addr)
		must(t, err)
		must(t, s.AddrAdd(s.link(t, name), a))
	}
}

// route replaces the route to dst; a gateway of "" is the link itself.
func (s space) route(t *testing.T, dst, name, gateway string) {
	t.Helper()
	_, prefix, err := net.ParseCIDR(dst)
	must(t, err)
	r := netlink.Route{Dst: prefix, LinkIndex: s.link(t, name).Attrs().Index, Gw: net.ParseIP(gateway)}
	must(t, s.RouteReplace(&r))
}

// watched is a running Watcher with what it told.
type watched struct {
	*Watcher
	told chan struct{}
	mu   sync.Mutex
	last map[netip.Addr]Hop
}

func (s space) watch(t *testing.T, opts Options) *watched {
	t.Helper()
	w := &watched{told: make(chan struct{}, 1), last: make(map[netip.Addr]Hop)}
	if opts.Notify == nil {
		opts.Notify = w.notify
	}
	s.in(t, func() (err error) {
		w.Watcher, err = New(opts)
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ran)
	})
	return w
}

func (w *watched) notify(addr netip.Addr, h Hop) {
	w.mu.Lock()
	w.last[addr] = h
	w.mu.Unlock()
	select {
	case w.told <- struct{}{}:
	default:
	}
}

// await waits until the last that was told of addr is as wanted.
func (w *watched) await(t *testing.T, addr netip.Addr, what string, want func(Hop) bool) Hop {
	t.Helper()
	late := time.After(deadline)
	for {
		w.mu.Lock()
		h, ok := w.last[addr]
		w.mu.Unlock()
		if ok && want(h) {
			return h
		}
		select {
		case <-w.told:
		case <-late:
			t.Fatalf("%s: %s: last told %v, %+v", addr, what, h, h)
		}
	}
}

func (w *watched) awaitMAC(t *testing.T, addr netip.Addr, mac [6]byte) Hop {
	t.Helper()
	return w.await(t, addr, fmt.Sprintf("MAC %x", mac), func(h Hop) bool {
		return h.State == Resolved && h.DstMAC == mac
	})
}

func (w *watched) awaitReason(t *testing.T, addr netip.Addr, state State, reason string) {
	t.Helper()
	w.await(t, addr, reason, func(h Hop) bool { return h.State == state && h.Reason == reason })
}

package nexthop

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestANextHopThatAppearsLateIsFound(t *testing.T) {
	lb, backend := mustPair(t)
	late4, late6 := netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("2001:db8::77")
	w := lb.watch(t, Options{})
	w.Set(onLink(late4, late6))
	w.awaitReason(t, late4, Unresolved, "192.0.2.77 does not answer on eth0")
	w.awaitReason(t, late6, Unresolved, "2001:db8::77 does not answer on eth0")
	begin := time.Now()
	backend.addr(t, "eth0", "192.0.2.77/24", "2001:db8::77/64")
	for _, addr := range []netip.Addr{late4, late6} {
		w.awaitMAC(t, addr, backend.mac(t, "eth0"))
		t.Logf("%s found after %v", addr, time.Since(begin))
	}
}

func TestAMACThatChangedSilentlyIsFollowed(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	w.Set(onLink(families...))
	for _, addr := range families {
		w.awaitMAC(t, addr, backend.mac(t, "eth0"))
	}
	for i := range byte(5) {
		mac := newMAC
		mac[5] += i
		begin := time.Now()
		backend.setMAC(t, "eth0", mac)
		for _, addr := range families {
			w.awaitMAC(t, addr, mac)
			t.Logf("%s followed after %v", addr, time.Since(begin))
		}
	}
}

func TestAMACThatChangedSilentlyIsNeverUnresolved(t *testing.T) {
	lb, backend := mustPair(t)
	var mu sync.Mutex
	var seen []Hop
	var w *watched
	w = lb.watch(t, Options{Notify: func(addr netip.Addr, h Hop) {
		mu.Lock()
		seen = append(seen, h)
		mu.Unlock()
		w.notify(addr, h)
	}})
	w.Set(onLink(backend4))
	old := backend.mac(t, "eth0")
	w.awaitMAC(t, backend4, old)
	backend.setMAC(t, "eth0", newMAC)
	w.awaitMAC(t, backend4, newMAC)
	mu.Lock()
	defer mu.Unlock()
	for _, h := range seen[1:] { // the first is before the first answer
		if h.State != Resolved {
			t.Errorf("told %v", h)
		}
	}
}

func TestAnAnnouncedMACIsFollowedWithoutAsking(t *testing.T) {
	lb, backend := mustPair(t)
	backend.sysctl(t, "ipv4/conf/eth0/arp_notify", "1")
	backend.sysctl(t, "ipv6/conf/eth0/ndisc_notify", "1")
	w := lb.watch(t, Options{Reconfirm: time.Hour})
	w.Set(onLink(families...))
	for _, addr := range families {
		w.awaitMAC(t, addr, backend.mac(t, "eth0"))
	}
	begin := time.Now()
	backend.setMAC(t, "eth0", newMAC)
	for _, addr := range families {
		w.awaitMAC(t, addr, newMAC)
		t.Logf("%s followed after %v", addr, time.Since(begin))
	}
}

func TestABackendThatFallsSilentBecomesUnresolved(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	w.Set(onLink(backend4))
	w.awaitMAC(t, backend4, backend.mac(t, "eth0"))
	a, err := netlink.ParseAddr("192.0.2.11/24")
	must(t, err)
	must(t, backend.AddrDel(backend.link(t, "eth0"), a))
	w.awaitReason(t, backend4, Unresolved, "192.0.2.11 does not answer on eth0")
}

func TestAPermanentNeighbourIsTakenAsItIs(t *testing.T) {
	lb, backend := mustPair(t)
	permanent := netlink.Neigh{
		LinkIndex: lb.link(t, "eth0").Attrs().Index, IP: backend4.AsSlice(),
		HardwareAddr: newMAC[:], State: netlink.NUD_PERMANENT,
	}
	must(t, lb.NeighSet(&permanent))
	w := lb.watch(t, Options{})
	w.Set(onLink(families...))
	w.awaitMAC(t, backend4, newMAC)
	// That the other family's is followed shows that both were due.
	for i := range byte(3) {
		backend.setMAC(t, "eth0", [6]byte{2, 0, 0, 0, 0x98, i})
		w.awaitMAC(t, backend6, [6]byte{2, 0, 0, 0, 0x98, i})
	}
	list, err := lb.NeighList(permanent.LinkIndex, unix.AF_INET)
	must(t, err)
	if len(list) != 1 || list[0].State != netlink.NUD_PERMANENT {
		t.Errorf("neighbours: %+v", list)
	}
	if h, _ := w.Get(backend4); h.DstMAC != newMAC {
		t.Errorf("told %v", h)
	}
}

func TestOurOwnMACIsFollowed(t *testing.T) {
	lb, backend := mustPair(t)
	w := lb.watch(t, Options{})
	w.Set(onLink(families...))
	for _, addr := range families {
		w.awaitMAC(t, addr, backend.mac(t, "eth0"))
	}
	lb.setMAC(t, "eth0", newMAC)
	for _, addr := range families {
		w.await(t, addr, "own MAC", func(h Hop) bool { return h.State == Resolved && h.SrcMAC == newMAC })
	}
}

// Many neighbours are not asked more often a second than a few thousand, and few of them as often as ever.
func TestAnAnswerIsBelievedForLongerWhenThereAreManyNeighbours(t *testing.T) {
	for many, want := range map[int]time.Duration{
		1: DefaultReconfirm, 800: DefaultReconfirm, 64_000: 32 * time.Second,
	} {
		w := &Watcher{opts: Options{Reconfirm: DefaultReconfirm}, neighbours: map[key]*neighbour{}}
		for i := range many {
			w.neighbours[key{link: i}] = nil
		}
		if got := w.believe(); got != want {
			t.Errorf("%d neighbours: answers are believed for %s, want %s", many, got, want)
		}
	}
}

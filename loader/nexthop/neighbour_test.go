package nexthop

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	macA = [6]byte{2, 0, 0, 0, 0, 0xa}
	macB = [6]byte{2, 0, 0, 0, 0, 0xb}
	id   = key{1, netip.MustParseAddr("192.0.2.11")}
)

// asked is a prober that records what the kernel was told.
type asked struct {
	calls []string
	err   error
}

func (a *asked) resolve(key) error  { a.calls = append(a.calls, "resolve"); return a.err }
func (a *asked) probe(key) error    { a.calls = append(a.calls, "probe"); return a.err }
func (a *asked) distrust(key) error { a.calls = append(a.calls, "distrust"); return a.err }

func (a *asked) want(t *testing.T, calls ...string) {
	t.Helper()
	if !slices.Equal(a.calls, calls) {
		t.Fatalf("kernel was told %v, want %v", a.calls, calls)
	}
	a.calls = nil
}

// at is a moment so many milliseconds after the test's beginning.
func at(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }

func TestAnAnsweredNeighbourIsProbedAgainWhenItsAnswerIsOld(t *testing.T) {
	var n neighbour
	var k asked
	n.learn(entry{state: netlink.NUD_REACHABLE, mac: macA}, at(0))
	n.confirm(&k, id, DefaultReconfirm, at(350))
	k.want(t)
	n.confirm(&k, id, DefaultReconfirm, at(400))
	k.want(t, "probe")
	n.learn(entry{state: netlink.NUD_PROBE, mac: macA}, at(400))
	n.learn(entry{state: netlink.NUD_REACHABLE, mac: macA}, at(401))
	n.confirm(&k, id, DefaultReconfirm, at(800))
	k.want(t)
}

func TestAnUnansweredProbeIsAskedAgainByBroadcastAndTheMACHeld(t *testing.T) {
	var n neighbour
	var k asked
	n.learn(entry{state: netlink.NUD_STALE, mac: macA}, at(0))
	n.confirm(&k, id, DefaultReconfirm, at(0))
	k.want(t, "probe")
	n.confirm(&k, id, DefaultReconfirm, at(100))
	k.want(t)
	n.confirm(&k, id, DefaultReconfirm, at(150))
	k.want(t, "distrust", "resolve")
	n.learn(entry{state: netlink.NUD_NONE}, at(150))
	if !n.known || n.mac != macA {
		t.Fatal("MAC not held while the kernel looks")
	}
	n.learn(entry{state: netlink.NUD_REACHABLE, mac: macB}, at(151))
	if !n.known || n.mac != macB {
		t.Fatal("new MAC not taken")
	}
}

func TestANeighbourIsLostWhenTheKernelFoundNobody(t *testing.T) {
	var n neighbour
	var k asked
	n.learn(entry{state: netlink.NUD_REACHABLE, mac: macA}, at(0))
	n.learn(entry{state: netlink.NUD_FAILED}, at(10)) // flushed: nobody was asked
	if !n.known {
		t.Fatal("lost by a flush")
	}
	n.confirm(&k, id, DefaultReconfirm, at(20))
	k.want(t, "resolve")
	n.learn(entry{state: netlink.NUD_FAILED}, at(3020))
	if n.known || !n.silent {
		t.Fatal("still known")
	}
	n.confirm(&k, id, DefaultReconfirm, at(3050))
	k.want(t, "resolve")
	n.confirm(&k, id, DefaultReconfirm, at(3100))
	k.want(t)
	n.confirm(&k, id, DefaultReconfirm, at(4050))
	k.want(t, "resolve")
}

func TestAStaticNeighbourIsNeverAsked(t *testing.T) {
	for _, e := range []netlink.Neigh{
		{State: netlink.NUD_PERMANENT},
		{State: netlink.NUD_NOARP},
		{State: netlink.NUD_REACHABLE, Flags: netlink.NTF_EXT_LEARNED},
	} {
		e.Family, e.IP, e.HardwareAddr = unix.AF_INET, id.addr.AsSlice(), macA[:]
		_, got, ok := entryOf(&e)
		var n neighbour
		var k asked
		n.learn(got, at(0))
		n.confirm(&k, id, DefaultReconfirm, at(10000))
		k.want(t)
		if !ok || !n.known || n.mac != macA {
			t.Errorf("state %#x: not taken", e.State)
		}
	}
}

func TestAnEntryThatStoppedBeingUsableIsAskedForByBroadcast(t *testing.T) {
	var n neighbour
	k := asked{err: unix.EINVAL}
	n.learn(entry{state: netlink.NUD_STALE, mac: macA}, at(0))
	n.confirm(&k, id, DefaultReconfirm, at(0))
	k.want(t, "probe", "resolve")
}

func TestAFullNeighbourTableIsTheReason(t *testing.T) {
	var n neighbour
	k := asked{err: unix.ENOBUFS}
	n.confirm(&k, id, DefaultReconfirm, at(0))
	n.confirm(&k, id, DefaultReconfirm, at(50))
	want := "the kernel's neighbour table is full (net.ipv4.neigh.default.gc_thresh3, net.ipv6 likewise)"
	if got := n.why(id.addr, "eth0"); got != want {
		t.Errorf("reason: %s", got)
	}
}

func TestBridgeTablesAndProxiesAreNoNeighbours(t *testing.T) {
	for _, e := range []netlink.Neigh{
		{Family: unix.AF_BRIDGE, HardwareAddr: macA[:]},
		{Family: unix.AF_INET, IP: id.addr.AsSlice(), Flags: netlink.NTF_PROXY},
	} {
		if _, _, ok := entryOf(&e); ok {
			t.Errorf("taken: %+v", e)
		}
	}
}

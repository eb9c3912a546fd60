package vip

import (
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

var (
	vip4 = netip.MustParseAddr("203.0.113.10")
	vip6 = netip.MustParseAddr("2001:db8::10")
	both = []netip.Addr{vip4, vip6}
)

// enter moves the test into a namespace of its own for the rest of its life.
func enter(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("needs root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	host, err := netns.Get()
	must(t, err)
	ns, err := netns.New() // it has no name: nobody else's sweep finds it, and it ends with this process
	must(t, err)
	t.Cleanup(func() {
		must(t, netns.Set(host))
		must(t, ns.Close())
		must(t, host.Close())
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustVeth(t *testing.T, name string) netlink.Link {
	t.Helper()
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "p" + name[1:]}
	must(t, netlink.LinkAdd(link))
	must(t, netlink.LinkSetUp(link))
	return link
}

func mustAddr(t *testing.T, link netlink.Link, addr string) {
	t.Helper()
	a, err := netlink.ParseAddr(addr)
	must(t, err)
	must(t, netlink.AddrAdd(link, a))
}

// find returns the interface's entry for addr as the netlink library sees it.
func find(t *testing.T, link netlink.Link, addr netip.Addr) (netlink.Addr, bool) {
	t.Helper()
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	must(t, err)
	i := slices.IndexFunc(list, func(a netlink.Addr) bool { return a.IP.Equal(addr.AsSlice()) })
	if i < 0 {
		return netlink.Addr{}, false
	}
	return list[i], true
}

func wantOurs(t *testing.T, want ...netip.Addr) {
	t.Helper()
	got, err := Ours()
	must(t, err)
	if !slices.Equal(got, want) {
		t.Fatalf("ours: %v, want %v", got, want)
	}
}

func TestEnsureAddsEachVIPOnceAndRemoveTakesItAway(t *testing.T) {
	enter(t)
	link := mustVeth(t, "eth0")
	for range 2 {
		must(t, Ensure("eth0", both))
		wantOurs(t, both...)
	}
	a4, _ := find(t, link, vip4)
	if a4.IPNet.String() != "203.0.113.10/32" || a4.Label != "eth0:ebb" {
		t.Errorf("IPv4: %v", a4)
	}
	a6, _ := find(t, link, vip6)
	if a6.IPNet.String() != "2001:db8::10/128" || a6.Flags&unix.IFA_F_NODAD == 0 || a6.Flags&unix.IFA_F_TENTATIVE != 0 {
		t.Errorf("IPv6: %v flags %#x", a6, a6.Flags)
	}
	if a6.Flags&unix.IFA_F_DEPRECATED == 0 {
		t.Errorf("IPv6: flags %#x: would be a source address", a6.Flags)
	}
	for range 2 {
		must(t, Remove(both))
		wantOurs(t)
	}
}

func TestRemoveLeavesOtherVIPs(t *testing.T) {
	enter(t)
	mustVeth(t, "eth0")
	must(t, Ensure("eth0", both))
	must(t, Remove([]netip.Addr{vip4}))
	wantOurs(t, vip6)
}

func TestKeepLeavesTheVIPsOnOneInterfaceOnly(t *testing.T) {
	enter(t)
	old, link := mustVeth(t, "eth0"), mustVeth(t, "eth1")
	must(t, Ensure("eth0", both))
	must(t, Ensure("eth1", both))
	must(t, Keep("eth1", []netip.Addr{vip6}))
	wantOurs(t, vip6)
	if _, ok := find(t, old, vip6); ok {
		t.Error("still on the other interface")
	}
	if _, ok := find(t, link, vip6); !ok {
		t.Error("gone from the interface")
	}
}

func TestAnAddressThatWasThereIsLeftAlone(t *testing.T) {
	enter(t)
	link := mustVeth(t, "eth0")
	mustAddr(t, link, "203.0.113.10/24")
	mustAddr(t, link, "2001:db8::10/64")
	must(t, Ensure("eth0", both))
	wantOurs(t)
	must(t, Remove(both))
	for _, vip := range both {
		if _, ok := find(t, link, vip); !ok {
			t.Errorf("%s is gone", vip)
		}
	}
}

func TestAVIPHeldElsewhereIsAddedAndOnlyOursRemoved(t *testing.T) {
	enter(t)
	other, link := mustVeth(t, "eth1"), mustVeth(t, "eth0")
	mustAddr(t, other, "203.0.113.10/32")
	must(t, Ensure("eth0", both))
	if _, ok := find(t, link, vip4); !ok {
		t.Error("not added")
	}
	must(t, Remove(both))
	if _, ok := find(t, other, vip4); !ok {
		t.Error("the other interface's is gone")
	}
	wantOurs(t)
}

func TestALongInterfaceNameGetsNoLabel(t *testing.T) {
	enter(t)
	link := mustVeth(t, "ethernet1234567")
	must(t, Ensure("ethernet1234567", both))
	if a, ok := find(t, link, vip4); !ok || a.Label != "ethernet1234567" {
		t.Errorf("label %q, held %v", a.Label, ok)
	}
	must(t, Remove(both))
	wantOurs(t)
}

func TestIPv6VIPsComeBackAfterTheInterfaceWasDown(t *testing.T) {
	enter(t)
	link := mustVeth(t, "eth0")
	must(t, Ensure("eth0", both))
	must(t, netlink.LinkSetDown(link))
	wantOurs(t, vip4)
	must(t, netlink.LinkSetUp(link))
	must(t, Ensure("eth0", both))
	wantOurs(t, both...)
}

func TestHoldersNamesTheInterface(t *testing.T) {
	enter(t)
	mustVeth(t, "eth0")
	mustAddr(t, mustVeth(t, "eth1"), "2001:db8::10/64")
	must(t, Ensure("eth0", []netip.Addr{vip4}))
	absent := netip.MustParseAddr("203.0.113.99")
	got, err := Holders(append(both, absent))
	must(t, err)
	if len(got) != 2 || got[vip4] != "eth0" || got[vip6] != "eth1" {
		t.Errorf("holders: %v", got)
	}
}

func TestEnsureNamesAMissingInterface(t *testing.T) {
	enter(t)
	err := Ensure("eth9", both)
	if err == nil || err.Error() != "find interface eth9: Link not found" {
		t.Errorf("error: %v", err)
	}
}

func TestLabelFitsOrIsLeftOut(t *testing.T) {
	for ifname, want := range map[string]string{
		"eth0":         "eth0:ebb",
		"elevenchars":  "elevenchars:ebb",
		"twelve-chars": "",
	} {
		if got := label(ifname); got != want {
			t.Errorf("label(%q) = %q, want %q", ifname, got, want)
		}
	}
}

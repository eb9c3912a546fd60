package doctor

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/internal/config"
)

// fake is a host that is nothing but files.
func fake(t *testing.T, files map[string]string) Host {
	t.Helper()
	h := Host{Root: t.TempDir(), BPFDir: "/run/bpf/ebbtide/plane", Config: &config.Config{Interfaces: []string{"eth7"}, MaxFlows: 1 << 20, XDPMode: config.XDPNative}}
	for name, text := range files {
		path := filepath.Join(h.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestEachCheckOfFilesHasItsVerdict(t *testing.T) {
	two := map[string]string{"sys/devices/system/cpu/cpu0/online": "1", "sys/devices/system/cpu/cpu1/online": "1"}
	with := func(more ...string) map[string]string {
		files := map[string]string{}
		for k, v := range two {
			files[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			files[more[i]] = more[i+1]
		}
		return files
	}
	const release, dev, irq = "proc/sys/kernel/osrelease", "sys/class/net/eth7/", "proc/irq/"
	for _, c := range []struct {
		name  string
		files map[string]string
		check func(Host) Finding
		want  Verdict
		do    string
	}{
		{"an old kernel", with(release, "5.15.0-91-generic"), Host.kernel, Fails, "6.1"},
		{"a kernel of the major number alone", with(release, "7"), Host.kernel, Unknown, ""},
		{"the oldest kernel", with(release, "6.1.0-40-amd64"), Host.kernel, OK, ""},
		{"a newer one", with(release, "7.0-rc1"), Host.kernel, OK, ""},
		{"no BTF", nil, Host.btf, Note, "BTF"},
		{"BTF", with("sys/kernel/btf/vmlinux", ""), Host.btf, OK, ""},
		{"an interpreter", with("proc/sys/net/core/bpf_jit_enable", "0"), Host.jit, Note, "bpf_jit_enable=1"},
		{"machine code", with("proc/sys/net/core/bpf_jit_enable", "1"), Host.jit, OK, ""},
		{"no bpffs", nil, Host.bpffs, Note, "ebbtide-bpffs"},
		{"little memory", with("proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable: 90000 kB"), Host.room, Fails, "max_flows"},
		{"enough memory", with("proc/meminfo", "MemAvailable: 900000 kB"), Host.room, OK, ""},
		{"fewer queues than CPUs", with(dev+"queues/rx-0/rps_cpus", "0"), onEth7(Host.queues), Note, "ethtool -L eth7 combined 2"},
		{"a queue a CPU", with(dev+"queues/rx-0/rps_cpus", "0", dev+"queues/rx-1/rps_cpus", "0"), onEth7(Host.queues), OK, ""},
		{"no queues to see", with(), onEth7(Host.queues), Unknown, ""},
		{"interrupts on one CPU", with(dev+"device/msi_irqs/40", "", dev+"device/msi_irqs/41", "", irq+"40/effective_affinity_list", "0", irq+"41/effective_affinity_list", "0"), onEth7(Host.interrupts), Note, "irqbalance"},
		{"interrupts on both", with(dev+"device/msi_irqs/40", "", dev+"device/msi_irqs/41", "", irq+"40/effective_affinity_list", "0", irq+"41/effective_affinity_list", "1"), onEth7(Host.interrupts), OK, ""},
		{"no interrupts", with(), onEth7(Host.interrupts), Unknown, ""},
		{"strict with one interface", with("proc/sys/net/ipv4/conf/all/rp_filter", "1"), Host.rpFilter, OK, ""},
		{"no rp_filter to see", with(), Host.rpFilter, Unknown, ""},
		{"strict with two", with("proc/sys/net/ipv4/conf/all/rp_filter", "0", "proc/sys/net/ipv4/conf/eth7/rp_filter", "1"), withTwo(Host.rpFilter), Note, "eth7.rp_filter=2"},
		{"loose with two", with("proc/sys/net/ipv4/conf/all/rp_filter", "1", "proc/sys/net/ipv4/conf/eth7/rp_filter", "2", "proc/sys/net/ipv4/conf/eth8/rp_filter", "2"), withTwo(Host.rpFilter), OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.check(fake(t, c.files))
			if f.Verdict != c.want || !strings.Contains(f.Do, c.do) || (f.Verdict == Fails || f.Verdict == Note) && f.Do == "" {
				t.Errorf("%+v, want %s and to do %q", f, c.want, c.do)
			}
		})
	}
}

func onEth7(check func(Host, string) Finding) func(Host) Finding {
	return func(h Host) Finding { return check(h, "eth7") }
}

// withTwo has a second interface.
func withTwo(check func(Host) Finding) func(Host) Finding {
	return func(h Host) Finding {
		h.Config.Interfaces = append(h.Config.Interfaces, "eth8")
		return check(h)
	}
}

func TestEachCheckOfAnInterfaceHasItsVerdict(t *testing.T) {
	up := netlink.LinkAttrs{Name: "eth7", Index: 1 << 30, HardwareAddr: make([]byte, 6), OperState: netlink.OperUp, MTU: 1500} // the kernel knows no such index
	down, short, odd := up, up, up
	down.OperState, short.MTU, odd.HardwareAddr = netlink.OperDown, 1400, nil
	driven := func(h Host, dev netlink.Link, by string) Host {
		dir := filepath.Join(h.Root, "sys/class/net", dev.Attrs().Name, "device")
		if err := errors.Join(os.MkdirAll(filepath.Join(h.Root, "drivers", by), 0o755), os.MkdirAll(dir, 0o755), os.Symlink(filepath.Join(h.Root, "drivers", by), filepath.Join(dir, "driver"))); err != nil {
			t.Fatal(err)
		}
		return h
	}
	offloads := func(lro, rxVLAN bool, err error) func(Host, netlink.Link) Finding {
		return func(h Host, dev netlink.Link) Finding { return h.offloads(dev, lro, rxVLAN, err) }
	}
	driver := func(by string) func(Host, netlink.Link) Finding {
		return func(h Host, dev netlink.Link) Finding { return driven(h, dev, by).driver(dev) }
	}
	for _, c := range []struct {
		name  string
		attrs netlink.LinkAttrs
		mode  config.XDPMode
		check func(Host, netlink.Link) Finding
		want  Verdict
		do    string
	}{
		{"up", up, config.XDPNative, Host.link, OK, ""},
		{"down", down, config.XDPNative, Host.link, Fails, "ip link set eth7 up"},
		{"no Ethernet", odd, config.XDPNative, Host.link, Fails, "interfaces"},
		{"a driver with XDP", up, config.XDPNative, driver("ixgbe"), OK, ""},
		{"one without", up, config.XDPNative, driver("e100"), Fails, "xdp: generic"},
		{"one without, and generic", up, config.XDPGeneric, driver("e100"), Note, "a NIC with native XDP"},
		{"no offloads", up, config.XDPNative, offloads(false, false, nil), OK, ""},
		{"LRO", up, config.XDPNative, offloads(true, false, nil), Fails, "ethtool -K eth7 lro off"},
		{"LRO, and generic", up, config.XDPGeneric, offloads(true, false, nil), OK, ""},
		{"tags that are taken off", up, config.XDPNative, offloads(false, true, nil), Note, "ethtool -K eth7 rxvlan off"},
		{"offloads that can't be seen", up, config.XDPNative, offloads(false, false, errors.New("not permitted")), Unknown, ""},
		{"an MTU of 1500", up, config.XDPNative, Host.mtu, OK, ""},
		{"an MTU of 1400", short, config.XDPNative, Host.mtu, Note, "ip link set eth7 mtu 1500"},
		{"an MTU of 1500 with ipip", up, config.XDPNative, withIPIP(Host.mtu), Note, "MTU 1540"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := fake(t, nil)
			h.Config.XDPMode = c.mode
			if f := c.check(h, &netlink.Device{LinkAttrs: c.attrs}); f.Verdict != c.want || !strings.Contains(f.Do, c.do) || f.On != "eth7" {
				t.Errorf("%+v, want %s and to do %q", f, c.want, c.do)
			}
		})
	}
}

func withIPIP(check func(Host, netlink.Link) Finding) func(Host, netlink.Link) Finding {
	return func(h Host, dev netlink.Link) Finding {
		h.Config.Services = []config.Service{{Name: "world", Forwarding: config.IPIP}}
		return check(h, dev)
	}
}

func TestAnInterfaceThatIsNotThereFails(t *testing.T) {
	found := fake(t, nil).iface("no-such-one")
	if len(found) != 1 || found[0].Verdict != Fails || Fit(found) {
		t.Errorf("%+v", found)
	}
}

func TestOnlyWhatFailsMakesAHostUnfit(t *testing.T) {
	if !Fit([]Finding{{Verdict: OK}, {Verdict: Note}, {Verdict: Unknown}}) {
		t.Error("a host where nothing fails is unfit")
	}
}

func TestFramesOfAnswersAreReadAndOthersAreNot(t *testing.T) {
	from, to := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("203.0.113.10")
	request := echoRequest(from, to, 7)
	if _, _, ok := echoReply(request); ok {
		t.Error("a request is taken for an answer")
	}
	if checksum(request[:20]) != 0 || checksum(request[20:]) != 0 {
		t.Error("checksums are wrong")
	}
	reply := slices.Clone(request)
	reply[20] = 0
	if who, n, ok := echoReply(reply); !ok || who != from || n != 7 {
		t.Errorf("from %s, number %d, %v", who, n, ok)
	}
	for n := range reply[:28] {
		echoReply(reply[:n])
		arpReply(reply[:n])
	}
	arp := slices.Concat(arpHead[:7], []byte{2}, []byte{2, 0, 0, 0, 0, 1}, to.AsSlice(), make([]byte, 10))
	if who, mac, ok := arpReply(arp); !ok || who != to || mac[5] != 1 {
		t.Errorf("%s at %x, %v", who, mac, ok)
	}
}

package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/loader"
)

// native are drivers that run XDP themselves, for kernels that do not say it of an interface (before 6.3).
var native = []string{
	"atlantic", "bnxt_en", "bonding", "cpsw", "dpaa2-eth", "ena", "fec", "fsl_dpa", "fsl_enetc", "gve", "hv_netvsc", "i40e", "iavf", "ice", "igb", "igc",
	"ixgbe", "ixgbevf", "mana", "microchip,lan966x-switch", "mlx4_en", "mlx5_core", "mvneta", "mvpp2", "netsec", "nfp", "nicvf", "qede", "sfc", "stmmac",
	"tap", "tsnep", "tun", "veth", "virtio_net", "vmxnet3", "xen_netfront",
}

// iface looks at one that the configuration names.
func (h Host) iface(name string) []Finding {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return []Finding{{Check: "interface", On: name, Verdict: Fails, Detail: err.Error(), Do: "name one of this host under interfaces in the configuration: ip link"}}
	}
	lro, rxVLAN, err := loader.Offloads(name)
	return []Finding{h.link(dev), h.driver(dev), h.queues(name), h.interrupts(name), h.offloads(dev, lro, rxVLAN, err), h.mtu(dev)}
}

func (h Host) link(dev netlink.Link) Finding {
	a := dev.Attrs()
	f := Finding{Check: "interface", On: a.Name, Verdict: OK, Detail: fmt.Sprintf("%s, %s", a.HardwareAddr, a.OperState)}
	switch {
	case len(a.HardwareAddr) != 6:
		f.Verdict, f.Detail, f.Do = Fails, "it is no Ethernet interface", "name another one under interfaces"
	case a.OperState == netlink.OperDown:
		f.Verdict, f.Do = Fails, "ip link set "+a.Name+" up, and look at the cable"
	}
	return f
}

// driver asks the kernel, or else the list, whether the driver runs XDP itself.
func (h Host) driver(dev netlink.Link) Finding {
	name := dev.Attrs().Name
	f := Finding{Check: "native XDP", On: name, Verdict: OK}
	driver := h.driverOf(dev)
	features, err := xdpFeatures(dev.Attrs().Index)
	can, send := features&featureBasic != 0, features&featureSend != 0
	if err != nil {
		can, send = slices.Contains(native, driver), true
	}
	f.Detail = "driver " + driver + " runs it"
	switch {
	case !can && h.Config.XDPMode == config.XDPGeneric:
		f.Verdict, f.Detail, f.Do = Note, "driver "+driver+" does not run it, and the configuration says generic: slow", "a NIC with native XDP"
	case !can:
		f.Verdict, f.Detail, f.Do = Fails, "driver "+driver+" does not run it", "another NIC, or `xdp: generic` in the configuration, which is slow"
	case !send && len(h.Config.Interfaces) > 1:
		f.Verdict, f.Detail = Note, "driver "+driver+" runs it, and does not take what is redirected to it before a program is attached"
	}
	return f
}

func (h Host) driverOf(dev netlink.Link) string {
	name := dev.Attrs().Name
	if target, err := filepath.EvalSymlinks(filepath.Join(h.Root, "sys/class/net", name, "device/driver")); err == nil {
		return filepath.Base(target)
	}
	if dev.Type() == "bond" {
		return "bonding"
	}
	return dev.Type()
}

// queues are what the NIC spreads packets over: fewer than CPUs means CPUs that get none.
func (h Host) queues(name string) Finding {
	f := Finding{Check: "queues", On: name, Verdict: OK}
	queues, cpus := len(h.glob("sys/class/net/"+name+"/queues/rx-*")), len(h.glob("sys/devices/system/cpu/cpu[0-9]*"))
	if queues == 0 {
		f.Verdict, f.Detail = Unknown, "the driver shows none"
		return f
	}
	f.Detail = fmt.Sprintf("%d receive queues, %d CPUs", queues, cpus)
	if queues < cpus {
		f.Verdict, f.Do = Note, fmt.Sprintf("one queue a CPU where the NIC has as many: ethtool -L %s combined %d", name, cpus)
	}
	return f
}

// interrupts of the NIC's queues, and the CPUs that take them.
func (h Host) interrupts(name string) Finding {
	f := Finding{Check: "interrupts", On: name, Verdict: OK}
	irqs, cpus := h.glob("sys/class/net/"+name+"/device/msi_irqs/*"), map[string]bool{}
	for _, irq := range irqs {
		if cpu := h.text("proc/irq/" + filepath.Base(irq) + "/effective_affinity_list"); cpu != "" {
			cpus[cpu] = true
		}
	}
	if len(irqs) == 0 || len(cpus) == 0 {
		f.Verdict, f.Detail = Unknown, "it has none of its own that can be seen"
		return f
	}
	all := len(h.glob("sys/devices/system/cpu/cpu[0-9]*"))
	f.Detail = fmt.Sprintf("%d interrupts on %d of %d CPUs", len(irqs), len(cpus), all)
	if len(cpus) < min(len(irqs), all) && len(cpus)*2 <= all {
		f.Verdict, f.Do = Note, "spread them: apt-get install irqbalance, or write a CPU each to /proc/irq/N/smp_affinity_list"
	}
	return f
}

// offloads that hurt: LRO, and tags that are taken off before the program sees them.
func (h Host) offloads(dev netlink.Link, lro, rxVLAN bool, err error) Finding {
	name := dev.Attrs().Name
	f := Finding{Check: "offloads", On: name, Verdict: OK, Detail: "none that hurts"}
	switch {
	case err != nil:
		f.Verdict, f.Detail = Unknown, err.Error()
	case lro && h.Config.XDPMode != config.XDPGeneric:
		f.Verdict, f.Detail, f.Do = Fails, "the NIC puts TCP segments together (LRO), and such packets fit no way out", "ethtool -K "+name+" lro off"
	case rxVLAN && dev.Type() != "veth":
		f.Verdict, f.Detail, f.Do = Note, "the NIC takes VLAN tags off: frames in a VLAN seem untagged to the program", "where there are VLANs: ethtool -K "+name+" rxvlan off"
	}
	return f
}

// mtu has to have room for the outer header of ipip, or players are told of a smaller one.
func (h Host) mtu(dev netlink.Link) Finding {
	mtu := dev.Attrs().MTU
	f := Finding{Check: "MTU", On: dev.Attrs().Name, Verdict: OK, Detail: fmt.Sprint(mtu)}
	var names []string
	for _, s := range h.Config.Services {
		if s.Forwarding == config.IPIP {
			names = append(names, s.Name)
		}
	}
	const standard, outer = 1500, 40
	switch {
	case mtu < standard:
		f.Verdict, f.Do = Note, fmt.Sprintf("packets of players are up to %d bytes: larger ones are answered with \"too big\"; ip link set %s mtu %d", standard, f.On, standard)
	case len(names) > 0 && mtu < standard+outer:
		f.Verdict = Note
		f.Detail = fmt.Sprintf("%d: with the outer header of ipip (20 or 40 bytes) a full packet does not fit (%s)", mtu, strings.Join(names, ", "))
		f.Do = fmt.Sprintf("MTU %d here, on the switch and on the backends, or `mss: auto` for TCP", standard+outer)
	}
	return f
}

// rpFilter matters to what the kernel's stack answers: ARP for the VIPs, and echo. Packets that the program sends on never
// meet it.
func (h Host) rpFilter() Finding {
	f := Finding{Check: "rp_filter", Verdict: OK, Detail: "not strict"}
	all, known := h.number("proc/sys/net/ipv4/conf/all/rp_filter")
	if !known {
		return Finding{Check: "rp_filter", Verdict: Unknown, Detail: "/proc/sys/net/ipv4/conf/all/rp_filter can't be read"}
	}
	for _, name := range h.Config.Interfaces {
		// An interface that is not there is said so by a check of its own.
		if own, _ := h.number("proc/sys/net/ipv4/conf/" + name + "/rp_filter"); max(all, own) != 1 {
			continue
		}
		if len(h.Config.Interfaces) > 1 {
			return Finding{Check: "rp_filter", On: name, Verdict: Note, Detail: "strict: this host answers no ARP for a VIP from who is routed by another interface", Do: "sysctl -w net.ipv4.conf." + name + ".rp_filter=2 net.ipv4.conf.all.rp_filter=2"}
		}
		f.Detail = "strict, which is well with one interface"
	}
	return f
}

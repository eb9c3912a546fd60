// Package backend makes a host a backend: it holds the VIPs where nobody hears of them, and takes outer headers off.
package backend

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Step is one thing to do: as a command for a shell, and by this process.
type Step struct {
	Why     string
	Command string
	do      func() error
}

// Description is a step to be printed.
type Description struct {
	Why     string `json:"why"`
	Command string `json:"command"`
}

// Describe says what the steps are.
func Describe(steps []Step) []Description {
	all := make([]Description, len(steps))
	for i, s := range steps {
		all[i] = Description{s.Why, s.Command}
	}
	return all
}

// Setup gives the steps for a mode, in their order: a VIP is held only once nobody hears of it.
func Setup(mode config.Forwarding, vips []netip.Addr) ([]Step, error) {
	var steps []Step
	switch mode {
	case config.DSR:
	case config.IPIP:
		steps = decapsulate()
	case config.NAT:
		return nil, errors.New("mode nat needs nothing but a default route that leads to the load balancer")
	default:
		return nil, fmt.Errorf("mode %q: want dsr or ipip", mode)
	}
	steps = append(steps,
		sysctl("net.ipv4.conf.all.arp_ignore", "1", "ARP is answered only for addresses of the interface that was asked"),
		sysctl("net.ipv4.conf.all.arp_announce", "2", "no VIP is the source of this host's own ARP requests"),
	)
	for _, vip := range vips {
		steps = append(steps, hold(vip))
	}
	return steps, nil
}

// decapsulate has tunnels from anywhere: of IPv4 in IPv4, and of both families in IPv6. What comes out of them seems to come
// by the wrong interface to a strict rp_filter, which is the larger of all's and the interface's.
func decapsulate() []Step {
	return []Step{
		tunnel("ebbtide4", "ip link add ebbtide4 type ipip external",
			func() netlink.Link { return &netlink.Iptun{LinkAttrs: named("ebbtide4"), FlowBased: true} }, "takes IPv4 out of IPv4"),
		tunnel("ebbtide6", "ip link add ebbtide6 type ip6tnl mode any external",
			func() netlink.Link { return &netlink.Ip6tnl{LinkAttrs: named("ebbtide6"), FlowBased: true} }, "takes IPv4 and IPv6 out of IPv6"),
		sysctl("net.ipv4.conf.all.rp_filter", "0", "what comes out of a tunnel is not refused for the way that it came"),
		sysctl("net.ipv4.conf.ebbtide4.rp_filter", "0", "the same"),
		sysctl("net.ipv4.conf.ebbtide6.rp_filter", "0", "the same"),
	}
}

func named(name string) netlink.LinkAttrs {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	return attrs
}

// tunnel is described anew each time that it is made: LinkAdd writes its index down.
func tunnel(name, command string, describe func() netlink.Link, why string) Step {
	return Step{
		Why:     why,
		Command: fmt.Sprintf("ip link show %[1]s >/dev/null 2>&1 || %[2]s; ip link set %[1]s up", name, command),
		do: func() error {
			link := describe()
			if err := netlink.LinkAdd(link); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("make the tunnel %s (is there the kernel's module? modprobe %s): %w", name, link.Type(), err)
			}
			made, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkSetUp(made)
			}
			if err != nil {
				return fmt.Errorf("set %s up: %w", name, err)
			}
			return nil
		},
	}
}

func sysctl(key, value, why string) Step {
	return Step{
		Why:     why,
		Command: fmt.Sprintf("sysctl -w %s=%s", key, value),
		do: func() error {
			if err := os.WriteFile(filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/")), []byte(value), 0); err != nil {
				return fmt.Errorf("set %s: %w", key, err)
			}
			return nil
		},
	}
}

// hold puts a VIP on the loopback. An IPv6 one is deprecated: this host's own connections do not come from it.
func hold(vip netip.Addr) Step {
	prefix := netip.PrefixFrom(vip, vip.BitLen())
	command := fmt.Sprintf("ip address replace %s dev lo", prefix)
	if vip.Is6() {
		command = fmt.Sprintf("ip -6 address replace %s dev lo preferred_lft 0 nodad", prefix)
	}
	return Step{
		Why:     "this host is an end of the players' sessions",
		Command: command,
		do: func() error {
			lo, err := netlink.LinkByName("lo")
			if err == nil {
				err = netlink.AddrReplace(lo, address(vip))
			}
			if err != nil {
				return fmt.Errorf("hold %s: %w", vip, err)
			}
			return nil
		},
	}
}

func address(vip netip.Addr) *netlink.Addr {
	bits := vip.BitLen()
	a := &netlink.Addr{IPNet: &net.IPNet{IP: vip.AsSlice(), Mask: net.CIDRMask(bits, bits)}}
	if vip.Is6() {
		a.Flags = unix.IFA_F_NODAD
		a.PreferedLft, a.ValidLft = 0, forever
	}
	return a
}

// forever is a lifetime's largest.
const forever = 1<<32 - 1

// Apply does the steps, in their order, and stops at the first that fails.
func Apply(steps []Step) error {
	for _, s := range steps {
		if err := s.do(); err != nil {
			return err
		}
	}
	return nil
}

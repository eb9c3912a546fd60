package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// space is a network namespace that only this process holds.
type space struct {
	fd     netns.NsHandle
	handle *netlink.Handle
	polls  link.Link
}

// sysctls: answers come in by another leg than questions go out, and addresses are usable at once.
var sysctls = [][2]string{
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
	{"net/ipv4/conf/all/arp_ignore", "1"},
	{"net/ipv6/conf/all/disable_ipv6", "0"},
	{"net/ipv6/conf/default/disable_ipv6", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/router_solicitations", "0"},
}

func newSpace() (*space, error) {
	s := &space{fd: netns.None()}
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w (it takes CAP_SYS_ADMIN)", err)
		}
		s.fd, err = netns.GetFromPath("/proc/thread-self/ns/net")
		if err != nil {
			return fmt.Errorf("hold the network namespace: %w", err)
		}
		for _, k := range sysctls {
			err := os.WriteFile(filepath.Join("/proc/sys", k[0]), []byte(k[1]), 0)
			if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6
				return fmt.Errorf("set %s: %w", k[0], err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.handle, err = netlink.NewHandleAt(s.fd, unix.NETLINK_ROUTE); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink in the namespace: %w", err), s.close())
	}
	if err := s.up("lo"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// onThread runs f on a thread of its own, which ends with it: its namespace is never another goroutine's.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// do runs f inside. Sockets that it makes stay there; goroutines that it starts are not.
func (s *space) do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(s.fd); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return f()
	})
}

// close lets go of the namespace, which ends with its links when nobody has a socket in it.
func (s *space) close() error {
	var errs []error
	if s.polls != nil {
		errs = append(errs, s.polls.Close())
	}
	if s.handle != nil {
		s.handle.Close()
	}
	if s.fd.IsOpen() {
		errs = append(errs, s.fd.Close())
	}
	return errors.Join(errs...)
}

func (s *space) up(name string) error {
	l, err := s.handle.LinkByName(name)
	if err == nil {
		err = s.handle.LinkSetUp(l)
	}
	if err != nil {
		return fmt.Errorf("set %s up in the namespace: %w", name, err)
	}
	return nil
}

func (s *space) has(name string) bool {
	_, err := s.handle.LinkByName(name)
	return err == nil
}

func (s *space) mac(name string) (net.HardwareAddr, error) {
	l, err := s.handle.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find %s in the namespace: %w", name, err)
	}
	return l.Attrs().HardwareAddr, nil
}

// connect makes a veth pair to the host, up at both ends.
func (s *space) connect(name string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = inside, netlink.NsFd(int(s.fd))
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make the veth pair %s: %w", name, err)
	}
	if err := s.do(func() error { return wholePackets(inside) }); err != nil {
		return err
	}
	if err := s.do(s.poll); err != nil {
		return err
	}
	if err := s.up(inside); err != nil {
		return err
	}
	host, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(host)
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// poll runs a program that passes everything: without one a veth drops what a redirect sends it.
func (s *space) poll() error {
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "ebbtide_pass", Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		return fmt.Errorf("load a program that passes everything: %w", err)
	}
	defer pass.Close()
	iface, err := net.InterfaceByName(inside)
	if err != nil {
		return fmt.Errorf("find %s in the namespace: %w", inside, err)
	}
	if s.polls, err = link.AttachXDP(link.XDPOptions{Program: pass, Interface: iface.Index, Flags: link.XDPDriverMode}); err != nil {
		return fmt.Errorf("attach a program that passes everything: %w", err)
	}
	return nil
}

// listenOn makes a macvlan on an interface of the host: it takes frames for its own MAC, which the program passes.
func (s *space) listenOn(parent string) error {
	on, err := netlink.LinkByName(parent)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", parent, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.Namespace = replies, on.Attrs().Index, netlink.NsFd(int(s.fd))
	if err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_PRIVATE}); err != nil {
		return fmt.Errorf("make a macvlan on %s: %w", parent, err)
	}
	return s.up(replies)
}

// address puts one on a link, with no route but to itself.
func (s *space) address(name string, addr netip.Addr) error {
	l, err := s.handle.LinkByName(name)
	if err == nil {
		a := &netlink.Addr{IPNet: single(addr)}
		if addr.Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		err = s.handle.AddrReplace(l, a)
	}
	if err != nil {
		return fmt.Errorf("put %s on %s in the namespace: %w", addr, name, err)
	}
	return nil
}

// throughHost sends everything to the host's end of the veth pair.
func (s *space) throughHost(hostEnd string) error {
	host, err := netlink.LinkByName(hostEnd)
	if err != nil {
		return fmt.Errorf("find the link %s: %w", hostEnd, err)
	}
	l, err := s.handle.LinkByName(inside)
	if err != nil {
		return fmt.Errorf("find %s in the namespace: %w", inside, err)
	}
	for _, gateway := range gateways {
		if err := s.handle.NeighSet(neighbour(l.Attrs().Index, gateway, host.Attrs().HardwareAddr)); err != nil {
			return fmt.Errorf("name the host in the namespace: %w", err)
		}
		all := &net.IPNet{IP: make(net.IP, gateway.BitLen()/8), Mask: make(net.IPMask, gateway.BitLen()/8)}
		route := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: all, Gw: gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
		if err := s.handle.RouteReplace(route); err != nil {
			return fmt.Errorf("route by the host in the namespace: %w", err)
		}
	}
	return nil
}

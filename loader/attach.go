package loader

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
)

// Mode is how the program runs on an interface.
type Mode string

const (
	Native  Mode = "native"
	Generic Mode = "generic"
)

// ErrForeignProgram: another program is attached to the interface, and force was not given.
var ErrForeignProgram = errors.New("another XDP program is attached")

// Attached is an interface that the program runs on.
type Attached struct {
	Name  string
	Index int
	Mode  Mode
	Type  string // as the kernel names it: veth, bond, vlan; device for a NIC

	// Foreign is the program that somebody put in our place on the link, 0 while ours runs.
	Foreign ebpf.ProgramID
}

// Attach makes the program run on an interface and pins the link. An interface that it runs on already keeps its link,
// whatever its mode. The interface's MAC is told to the program before. With force, a program that is not ours is
// detached first.
func (p *Plane) Attach(name string, mode Mode, force bool) error {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if len(iface.HardwareAddr) != 6 {
		return fmt.Errorf("attach to %s: it has no Ethernet address", name)
	}
	if err := checkBond(name, mode); err != nil {
		return err
	}
	if reason := offloadsOf(name).refusal(name, mode); reason != "" {
		return fmt.Errorf("attach to %s: %s", name, reason)
	}
	if err := p.Tables.SetIface(uint32(iface.Index), maps.Iface{MAC: [6]byte(iface.HardwareAddr), MTU: uint32(iface.MTU)}); err != nil {
		return err
	}
	if err := p.followMembers(); err != nil {
		p.Tables.RemoveIface(uint32(iface.Index))
		return err
	}
	pin := filepath.Join(p.dir, linksDir, pinName(name))
	if done, err := p.keepLink(pin, iface); done || err != nil {
		return err
	}
	if force {
		if err := detachForeign(name); err != nil {
			p.Tables.RemoveIface(uint32(iface.Index))
			return err
		}
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p.program, Interface: iface.Index, Flags: mode.flags()})
	if err != nil {
		p.Tables.RemoveIface(uint32(iface.Index))
		return errors.Join(attachError(name, mode, err), p.followMembers())
	}
	defer l.Close()
	if err := l.Pin(pin); err != nil {
		p.Tables.RemoveIface(uint32(iface.Index))
		return fmt.Errorf("pin the link of %s: %w", name, err)
	}
	return nil
}

func (m Mode) flags() link.XDPAttachFlags {
	if m == Generic {
		return link.XDPGenericMode
	}
	return link.XDPDriverMode
}

func attachError(name string, mode Mode, err error) error {
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("attach to %s: %w; end its owner, detach it (ip link set dev %s xdp off) or give --force", name, ErrForeignProgram, name)
	}
	if mode == Native && errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("attach to %s: its driver has no native XDP, or that of a member when it is a bond; `xdp: generic` in the configuration accepts the slower mode: %w", name, err)
	}
	return fmt.Errorf("attach to %s in %s mode: %w", name, mode, err)
}

// keepLink reports whether the pinned link still holds the interface. One whose interface went away and came back
// under the same name is dead and is removed.
func (p *Plane) keepLink(pin string, iface *net.Interface) (bool, error) {
	l, err := link.LoadPinnedLink(pin, nil)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the pinned link of %s: %w", iface.Name, err)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return false, fmt.Errorf("inspect the pinned link of %s: %w", iface.Name, err)
	}
	if xdp := info.XDP(); xdp != nil && xdp.Ifindex == uint32(iface.Index) {
		return true, nil
	}
	return false, os.Remove(pin)
}

// detachForeign takes away a program that holds the interface without being ours, in whichever mode it runs. One that
// its owner holds by a link can only be taken away through that.
func detachForeign(name string) error {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	xdp := dev.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return nil
	}
	flags := unix.XDP_FLAGS_DRV_MODE
	if xdp.AttachMode == nl.XDP_ATTACHED_SKB {
		flags = unix.XDP_FLAGS_SKB_MODE
	}
	switch err := netlink.LinkSetXdpFdWithFlags(dev, -1, flags); {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("attach to %s: %w: program %d, by a link, which --force can't take away; end its owner, or find the link (bpftool link) and detach it (bpftool link detach id ID)", name, ErrForeignProgram, xdp.ProgId)
	case err != nil:
		return fmt.Errorf("detach program %d of another owner from %s: %w", xdp.ProgId, name, err)
	}
	return nil
}

// Attached lists the interfaces whose links are pinned and alive.
func (p *Plane) Attached() ([]Attached, error) {
	ours, err := p.program.Info()
	if err != nil {
		return nil, fmt.Errorf("inspect the program: %w", err)
	}
	id, _ := ours.ID()
	entries, err := os.ReadDir(filepath.Join(p.dir, linksDir))
	if err != nil {
		return nil, fmt.Errorf("list pinned links: %w", err)
	}
	var out []Attached
	for _, e := range entries {
		a, ok, err := attachedOf(filepath.Join(p.dir, linksDir, e.Name()), id)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, a)
		}
	}
	return out, nil
}

func attachedOf(pin string, ours ebpf.ProgramID) (Attached, bool, error) {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return Attached{}, false, fmt.Errorf("open link %s: %w", pin, err)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return Attached{}, false, fmt.Errorf("inspect link %s: %w", pin, err)
	}
	xdp := info.XDP()
	if xdp == nil || xdp.Ifindex == 0 {
		return Attached{}, false, nil
	}
	dev, err := netlink.LinkByIndex(int(xdp.Ifindex))
	if err != nil {
		return Attached{}, false, nil
	}
	mode := Native
	if attrs := dev.Attrs().Xdp; attrs != nil && attrs.AttachMode == nl.XDP_ATTACHED_SKB {
		mode = Generic
	}
	a := Attached{Name: dev.Attrs().Name, Index: int(xdp.Ifindex), Mode: mode, Type: dev.Type()}
	if info.Program != ours {
		a.Foreign = info.Program
	}
	return a, true, nil
}

// DetachFrom takes the program off one interface.
func (p *Plane) DetachFrom(name string) error {
	pin := filepath.Join(p.dir, linksDir, pinName(name))
	l, err := link.LoadPinnedLink(pin, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the pinned link of %s: %w", name, err)
	}
	defer l.Close()
	info, err := l.Info()
	if err == nil && info.XDP() != nil {
		p.Tables.RemoveIface(info.XDP().Ifindex)
	}
	return errors.Join(detachLink(l, pin), p.followMembers())
}

func detachLink(l link.Link, pin string) error {
	if err := l.Detach(); err != nil && !errors.Is(err, ebpf.ErrNotSupported) && !errors.Is(err, unix.ENOLINK) {
		return fmt.Errorf("detach %s: %w", pin, err)
	}
	if err := os.Remove(pin); err != nil {
		return fmt.Errorf("unpin %s: %w", pin, err)
	}
	return nil
}

// Detach takes a data plane out of the kernel and leaves nothing pinned: links first, so that no packet meets a program
// whose maps go. A directory that is not there is no error.
func Detach(dir string) error {
	var errs []error
	for _, d := range []string{dir, dir + readySuffix, dir + buildingSuffix} {
		if _, err := os.Lstat(d); errors.Is(err, os.ErrNotExist) {
			continue // on what is mounted to be read only, removing it would be an error all the same
		}
		entries, err := os.ReadDir(filepath.Join(d, linksDir))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("list pinned links: %w", err))
		}
		for _, e := range entries {
			pin := filepath.Join(d, linksDir, e.Name())
			l, err := link.LoadPinnedLink(pin, nil)
			if err != nil {
				errs = append(errs, fmt.Errorf("open link %s: %w", pin, err))
				continue
			}
			errs = append(errs, detachLink(l, pin), l.Close())
		}
		if err := os.RemoveAll(d); err != nil {
			errs = append(errs, fmt.Errorf("remove the pins in %s: %w", d, err))
		}
	}
	return errors.Join(errs...)
}

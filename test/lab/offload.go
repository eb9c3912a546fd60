package lab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolValue is struct ethtool_value.
type ethtoolValue struct {
	cmd  uint32
	data uint32
}

// ethtoolRequest is struct ifreq with its data pointer.
type ethtoolRequest struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// off is ethtool's value for a feature that shall be off.
const off = 0

// offloads are turned off on every veth: a stack that leaves checksums or
// segmentation to the device would make XDP emit what no wire carries.
var offloads = []struct {
	name string
	cmd  uint32
}{
	{"gro", unix.ETHTOOL_SGRO},
	{"tso", unix.ETHTOOL_STSO},
	{"gso", unix.ETHTOOL_SGSO},
	{"tx checksum", unix.ETHTOOL_STXCSUM},
}

// SetGRO lets a link merge what it receives into larger packets, or not, as it comes.
func (ns *NS) SetGRO(iface string, on bool) error {
	var value uint32 = off
	if on {
		value = 1
	}
	return ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("socket for ethtool in %s: %w", ns.Name, err)
		}
		defer unix.Close(fd)
		if err := ethtool(fd, iface, &ethtoolValue{cmd: unix.ETHTOOL_SGRO, data: value}); err != nil {
			return fmt.Errorf("gro on %s in %s: %w", iface, ns.Name, err)
		}
		return nil
	})
}

// offloadsOff turns the offloads of a link off.
func (ns *NS) offloadsOff(iface string) error {
	return ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("socket for ethtool in %s: %w", ns.Name, err)
		}
		defer unix.Close(fd)
		for _, o := range offloads {
			if err := ethtool(fd, iface, &ethtoolValue{cmd: o.cmd, data: off}); err != nil {
				return fmt.Errorf("%s off on %s in %s: %w", o.name, iface, ns.Name, err)
			}
		}
		return nil
	})
}

// vlanFeatures leave tags to the device, as the kernel names them.
var vlanFeatures = map[string]bool{"tx-vlan-hw-insert": true, "tx-vlan-stag-hw-insert": true}

const (
	featureNames  = 4 // ETH_SS_FEATURES
	maxFeatures   = 128
	featureLength = 32 // ETH_GSTRING_LEN
)

// vlanOffloadsOff has the tags of what a link sends in the frame, not beside it.
func (ns *NS) vlanOffloadsOff(iface string) error {
	return ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("socket for ethtool in %s: %w", ns.Name, err)
		}
		defer unix.Close(fd)
		names := struct { // struct ethtool_gstrings
			cmd, set, length uint32
			names            [maxFeatures][featureLength]byte
		}{cmd: unix.ETHTOOL_GSTRINGS, set: featureNames}
		if err := ethtool(fd, iface, &names); err != nil {
			return fmt.Errorf("features of %s in %s: %w", iface, ns.Name, err)
		}
		change := struct { // struct ethtool_sfeatures
			cmd, size uint32
			blocks    [maxFeatures / 32]struct{ valid, requested uint32 }
		}{cmd: unix.ETHTOOL_SFEATURES, size: (names.length + 31) / 32}
		for i, name := range names.names[:names.length] {
			if vlanFeatures[unix.ByteSliceToString(name[:])] {
				change.blocks[i/32].valid |= 1 << (i % 32)
			}
		}
		if err := ethtool(fd, iface, &change); err != nil {
			return fmt.Errorf("vlan offloads off on %s in %s: %w", iface, ns.Name, err)
		}
		return nil
	})
}

// ethtool does one SIOCETHTOOL.
func ethtool[T any](fd int, iface string, v *T) error {
	req := ethtoolRequest{data: unsafe.Pointer(v)}
	copy(req.name[:unix.IFNAMSIZ-1], iface)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}

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
	data *ethtoolValue
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

// ethtool does one SIOCETHTOOL.
func ethtool(fd int, iface string, v *ethtoolValue) error {
	req := ethtoolRequest{data: v}
	copy(req.name[:unix.IFNAMSIZ-1], iface)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}

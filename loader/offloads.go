package loader

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
)

// offloads are what a NIC may do to packets before the program sees them.
type offloads struct {
	lro    bool // puts TCP segments together
	rxVLAN bool // takes VLAN tags off
}

// Bits of ETHTOOL_GFLAGS (linux/ethtool.h).
const (
	flagRxVLAN = 1 << 8
	flagLRO    = 1 << 15
)

// offloadsOf an interface; none of one that does not tell.
func offloadsOf(name string) offloads {
	flags, err := ethtoolFlags(name)
	if err != nil {
		return offloads{}
	}
	return offloads{lro: flags&flagLRO != 0, rxVLAN: flags&flagRxVLAN != 0}
}

// ethtoolFlags asks by SIOCETHTOOL, in the calling thread's network namespace.
func ethtoolFlags(name string) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open a socket for ethtool: %w", err)
	}
	defer unix.Close(fd)
	value := struct{ cmd, data uint32 }{cmd: unix.ETHTOOL_GFLAGS}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, fmt.Errorf("ask for the features of %s: %w", name, errno)
	}
	return value.data, nil
}

// refusal says why the program must not run there, or "". In generic mode the kernel itself turns LRO off.
func (o offloads) refusal(name string, mode Mode) string {
	if o.lro && mode == Native {
		return fmt.Sprintf("its NIC puts TCP segments together (LRO), and such packets fit no way out; turn it off: ethtool -K %s lro off", name)
	}
	return ""
}

// TagsProblem says why VLANs on an attached interface are not seen as such, or "". A veth has the same feature, and no NIC
// that does it.
func (p *Plane) TagsProblem(a Attached) string {
	return offloadsOf(a.Name).tagsProblem(a, p.Tables.VLANs())
}

func (o offloads) tagsProblem(a Attached, vlans map[uint32]maps.VLAN) string {
	if !o.rxVLAN || a.Type == "veth" {
		return ""
	}
	for _, v := range vlans {
		if v.On == uint32(a.Index) {
			return fmt.Sprintf("frames in %s seem untagged: the NIC takes tags off before the program sees them; turn that off: ethtool -K %s rxvlan off", v.Tags, a.Name)
		}
	}
	return ""
}

// Offloads says what the NIC of an interface does to packets before a program sees them: puts TCP segments together (LRO),
// and takes VLAN tags off.
func Offloads(name string) (lro, rxVLAN bool, err error) {
	flags, err := ethtoolFlags(name)
	return flags&flagLRO != 0, flags&flagRxVLAN != 0, err
}

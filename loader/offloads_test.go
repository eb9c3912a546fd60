package loader

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ebbtide/ebbtide/maps"
)

// A NIC that puts segments together is refused in native mode: the kernel would turn it off in the generic one.
func TestLROIsRefused(t *testing.T) {
	for _, row := range []struct {
		has  offloads
		mode Mode
		want string
	}{
		{offloads{}, Native, ""}, {offloads{rxVLAN: true}, Native, ""}, {offloads{lro: true}, Generic, ""},
		{offloads{lro: true}, Native, "turn it off: ethtool -K eth0 lro off"},
	} {
		got := row.has.refusal("eth0", row.mode)
		if !strings.HasSuffix(got, row.want) || row.want == "" && got != "" {
			t.Errorf("%+v in %s mode: %q, want %q", row.has, row.mode, got, row.want)
		}
	}
}

// That a NIC takes tags off is told where there are VLANs on it.
func TestTagsThatANICTakesOffAreTold(t *testing.T) {
	vlans := map[uint32]maps.VLAN{9: {On: 3, Tags: maps.Tags{{TPID: 0x8100, ID: 20}}}}
	strips := offloads{rxVLAN: true}
	for _, row := range []struct {
		has  offloads
		on   Attached
		want string
	}{
		{strips, Attached{Name: "eth0", Index: 3, Type: "device"}, "frames in VLAN 20 seem untagged: the NIC takes tags off before the program sees them; turn that off: ethtool -K eth0 rxvlan off"},
		{offloads{}, Attached{Name: "eth0", Index: 3, Type: "device"}, ""},
		{strips, Attached{Name: "eth1", Index: 4, Type: "device"}, ""}, // no VLAN there
		{strips, Attached{Name: "eth0", Index: 3, Type: "veth"}, ""},
	} {
		if got := row.has.tagsProblem(row.on, vlans); got != row.want {
			t.Errorf("%+v on %+v: %q, want %q", row.has, row.on, got, row.want)
		}
	}
}

// The kernel says what is on.
func TestOffloadsAreRead(t *testing.T) {
	done := make(chan error)
	var on, off offloads
	go func() { // on a thread in a namespace of its own, which ends with it
		runtime.LockOSThread()
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "eth0"
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth1"}); err != nil {
				return err
			}
			if err := setFlags("eth0", flagRxVLAN); err != nil {
				return err
			}
			on = offloadsOf("eth0")
			if err := setFlags("eth0", 0); err != nil {
				return err
			}
			off = offloadsOf("eth0")
			return nil
		}()
	}()
	if err := <-done; err != nil {
		t.Fatalf("needs root: %v", err)
	}
	if want := (offloads{rxVLAN: true}); on != want || off != (offloads{}) {
		t.Errorf("on: %+v, off: %+v", on, off)
	}
}

func setFlags(name string, flags uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := struct{ cmd, data uint32 }{unix.ETHTOOL_SFLAGS, flags}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

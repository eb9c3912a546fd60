package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// netnsDir is where named namespaces are mounted, as iproute2 has it.
const netnsDir = "/run/netns"

// NS is one network namespace of a lab.
type NS struct {
	// Name is the full name, as `ip netns` lists it.
	Name string

	fd     netns.NsHandle
	handle *netlink.Handle
	closed chan struct{}

	children errgroup.Group // one goroutine for each process started here
}

// newNS makes the named namespace, with its loopback up.
func newNS(name string) (*NS, error) {
	fd, err := createNamed(name)
	if err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	ns := &NS{Name: name, fd: fd, closed: make(chan struct{})}
	ns.handle, err = netlink.NewHandleAt(fd, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netlink in %s: %w", name, err), ns.close())
	}
	if err := ns.settle(); err != nil {
		return nil, errors.Join(err, ns.close())
	}
	return ns, nil
}

// createNamed makes the namespace on a thread that is restored or given up.
func createNamed(name string) (netns.NsHandle, error) {
	fd := netns.None()
	err := onThread(func() (err error) {
		fd, err = netns.NewNamed(name)
		return err
	})
	return fd, err
}

// Do runs f on a locked OS thread inside the namespace and returns its error.
// Sockets that f makes stay in the namespace and may be used from anywhere. f
// runs on a goroutine of its own, so it must not end a test (t.Fatal), and
// goroutines that f starts are not in the namespace.
func (ns *NS) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns.fd); err != nil {
			return fmt.Errorf("enter %s: %w", ns.Name, err)
		}
		return f()
	})
}

// errGoexit is returned for a function that ended its goroutine.
var errGoexit = errors.New("the function ended its goroutine")

// onThread runs f, which may change the thread's namespace, on a locked thread
// and puts the namespace back. A thread on which that fails is given up.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() { result <- err }()
		runtime.LockOSThread()
		home, homeErr := netns.GetFromPath("/proc/thread-self/ns/net")
		if homeErr != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("own namespace: %w", homeErr)
			return
		}
		defer func() {
			if netns.Set(home) == nil {
				runtime.UnlockOSThread()
			}
			home.Close()
		}()
		err = f()
	}()
	return <-result
}

// Netlink is the namespace's rtnetlink handle. It is closed with the lab.
func (ns *NS) Netlink() *netlink.Handle { return ns.handle }

// Sysctl writes a value under /proc/sys; path is like "net/ipv4/ip_forward".
// It is meant for the keys under net, which follow the namespace.
func (ns *NS) Sysctl(path, value string) error {
	return ns.Do(func() error {
		if err := os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0); err != nil {
			return fmt.Errorf("sysctl in %s: %w", ns.Name, err)
		}
		return nil
	})
}

// sysctls are what every namespace of a lab starts with: addresses are usable
// at once, nobody redirects, nobody filters by the way back, queues are deep.
var sysctls = [][2]string{
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/default/accept_redirects", "0"},
	{"net/ipv4/conf/all/send_redirects", "0"},
	{"net/ipv4/conf/default/send_redirects", "0"},
	{"net/ipv4/tcp_max_syn_backlog", "8192"},
	{"net/core/somaxconn", "8192"},
	{"net/ipv6/conf/all/disable_ipv6", "0"},
	{"net/ipv6/conf/default/disable_ipv6", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/accept_redirects", "0"},
	{"net/ipv6/conf/default/router_solicitations", "0"},
}

// settle writes the sysctls and sets the loopback up.
func (ns *NS) settle() error {
	for _, s := range sysctls {
		if err := ns.Sysctl(s[0], s[1]); err != nil {
			return err
		}
	}
	return ns.up("lo")
}

// halt ends the processes that were started in the namespace.
func (ns *NS) halt() error {
	close(ns.closed)
	return ns.children.Wait()
}

// close removes the interfaces and then the namespace, so that what was
// attached to them is gone when it returns.
func (ns *NS) close() error {
	var errs []error
	if ns.handle != nil {
		errs = append(errs, ns.dropLinks())
		ns.handle.Close()
	}
	errs = append(errs, ns.fd.Close(), netns.DeleteNamed(ns.Name))
	return errors.Join(errs...)
}

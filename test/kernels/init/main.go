// Command init is the only program of the virtual machines that `kernels` boots: it runs the test binaries that it finds
// in /tests, says on the console how each ended, and turns the machine off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("ebbtide-tests:", err)
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() error {
	for _, m := range []struct{ kind, at string }{
		{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"}, {"bpf", "/sys/fs/bpf"},
	} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := console(); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := loadModules(); err != nil {
		return err
	}
	return runTests()
}

// console makes the console this process's output: there was no /dev when it started.
func console() error {
	f, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	os.Stdout, os.Stderr = f, f
	return nil
}

func loadModules() error {
	names, err := filepath.Glob("/modules/*.ko")
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
		f.Close()
	}
	return nil
}

func runTests() error {
	names, err := filepath.Glob("/tests/*.args")
	if err != nil {
		return err
	}
	for _, name := range names {
		args, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		binary := strings.TrimSuffix(name, ".args")
		cmd := exec.Command(binary, append(strings.Fields(string(args)), "-test.timeout=22m", "-test.v")...)
		cmd.Dir = "/tmp"
		cmd.Env = []string{"PATH=/", "HOME=/tmp", "TMPDIR=/tmp"}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Printf("ebbtide-tests: %s failed: %v\n", filepath.Base(binary), err)
			continue
		}
		fmt.Printf("ebbtide-tests: passed %s\n", filepath.Base(binary))
	}
	return nil
}

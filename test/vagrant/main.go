// Command vagrant proves that `vagrant up` makes the world that docs/vagrant.md promises, on a machine without KVM: with a
// libvirtd of its own, in namespaces of its own, and with QEMU's software emulation. Six machines come up with the package,
// players play, the command line flips, the old colour drains, and all goes away again.
//
// With -break the sessions of the old colour are evicted after the flip, and it must end red by the players' own word.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// work is all that a run writes; it goes with it, or with the next.
const work = "bin/vagrant/test"

// longest is what a run may take.
const longest = 30 * time.Minute

func main() {
	broken := flag.Bool("break", false, "evict the old colour's sessions after the flip: it must end red")
	inside := flag.Bool("inside", false, "what it calls itself with, in the namespaces")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	run := outside
	if *inside {
		run = func(ctx context.Context) error { return prove(ctx, *broken) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "vagrant-test:", err)
		cancel()
		stop()
		os.Exit(1)
	}
}

// outside makes the namespaces and runs the proof in them. When this process dies, however it does, they end with all that is
// in them.
func outside(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("make namespaces and run libvirtd: needs root (sudo)")
	}
	if _, err := os.Stat("Vagrantfile"); err != nil {
		return errors.New("run it in the root of the repository: make vagrant-test")
	}
	lock, err := os.OpenFile(work+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("make vagrant-box first: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another run is under way: lock %s: %w", lock.Name(), err)
	}
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("remove what the run before has left: %w", err)
	}
	dir, err := filepath.Abs(work)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	defer func() {
		gone := []string{work}
		if err != nil { // the logs are there to be read, until the next run
			gone = []string{filepath.Join(work, "lib"), filepath.Join(work, "home")}
		}
		for _, dir := range gone {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"test/vagrant/inside.sh", dir, self, "-inside"}, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// The death signal comes when the thread ends that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w; the logs are in %s", err, work)
	}
	return nil
}

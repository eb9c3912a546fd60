package lab

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// graceRounds bounds the wait for the kernel to free BPF objects: they go some
// RCU grace periods after their last user, and a process that was killed is a
// user until the kernel has put it away.
const graceRounds = 200

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of linux/membarrier.h.
const membarrierGlobal = 1

// Leaks lists what a closed lab left behind: namespaces, mounts, its
// directory, and BPF objects that had been pinned in its mounts or attached to
// its interfaces.
func (l *Lab) Leaks() ([]string, error) {
	leaks, err := namespaces(nsPrefix + l.ID + "-")
	if err != nil {
		return nil, err
	}
	for i := range leaks {
		leaks[i] = "namespace " + leaks[i]
	}
	mounts, err := mountsUnder(l.Dir, "")
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		leaks = append(leaks, "mount "+m)
	}
	if _, err := os.Stat(l.Dir); !errors.Is(err, os.ErrNotExist) {
		leaks = append(leaks, "directory "+l.Dir)
	}
	if err := l.left.settle(); err != nil {
		return nil, err
	}
	return append(leaks, l.left.list()...), nil
}

// settle waits, by grace periods, until the kernel has freed the objects, or
// for as many periods as it may take.
func (o objects) settle() error {
	for range graceRounds {
		o.remaining()
		if len(o.list()) == 0 {
			return nil
		}
		if err := gracePeriod(); err != nil {
			return err
		}
	}
	return nil
}

// gracePeriod waits for an RCU grace period.
func gracePeriod() error {
	_, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0)
	if errno != 0 {
		return fmt.Errorf("membarrier: %w", errno)
	}
	return nil
}

// ErrBusy says that labs of living processes keep [Leaks] from telling what
// was left from what is used.
var ErrBusy = errors.New("labs are in use")

// Leaks lists what all labs and all runs of this project left on the machine:
// namespaces, directories with their mounts, processes, and every BPF object of
// this project's names, pinned or held. It is meant for the end of a run, and returns [ErrBusy] while a lab is
// in use by any process.
func Leaks() ([]string, error) {
	var leaks []string
	// To ask whether a lab is alive takes its lock, for which one that is being claimed does not wait.
	err := exclusively(func() (err error) {
		leaks, err = deadLabs()
		return err
	})
	if err != nil {
		return nil, err
	}
	names, err := namespaces(nsPrefix)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		leaks = append(leaks, "namespace "+name)
	}
	running, err := processes()
	if err != nil {
		return nil, err
	}
	leaks = append(leaks, running...)
	left, err := projectObjects()
	if err != nil {
		return nil, err
	}
	if err := left.settle(); err != nil {
		return nil, err
	}
	return append(leaks, left.list()...), nil
}

// deadLabs lists the directories of labs whose process is dead, or returns
// [ErrBusy].
func deadLabs() ([]string, error) {
	ids, err := labIDs()
	if err != nil {
		return nil, err
	}
	var leaks []string
	for _, id := range ids {
		alive, err := alive(id)
		if err != nil {
			return nil, err
		}
		if alive {
			return nil, fmt.Errorf("lab %s: %w", id, ErrBusy)
		}
		if _, err := os.Stat(dirPrefix + id); err == nil {
			leaks = append(leaks, "directory "+dirPrefix+id)
		}
	}
	return leaks, nil
}

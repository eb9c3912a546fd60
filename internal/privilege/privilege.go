// Package privilege gives up what the daemon does not need once it runs.
package privilege

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Set is a set of capabilities.
type Set uint64

// Of makes a set of unix.CAP_….
func Of(caps ...uint) (s Set) {
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Has says whether all of another set are in this one.
func (s Set) Has(all Set) bool { return s&all == all }

// ErrCgo says that this binary can't: a program with C in it has threads that Go knows nothing of.
var ErrCgo = errors.New("this binary was built with cgo, and can't give up capabilities: build it with CGO_ENABLED=0")

// Effective is what this process may do. It is the same on each thread.
func Effective() (Set, error) {
	have, err := get()
	return have.effective, err
}

type sets struct{ effective, permitted, inheritable Set }

// Drop gives up, on each thread and for good, all capabilities but those to keep: those that it has, those that a program which
// it starts could have from it, and those that a file's owner could give it.
func Drop(keep Set) error {
	have, err := get()
	if err != nil {
		return err
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil {
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	if have.effective.Has(Of(unix.CAP_SETPCAP)) { // otherwise no_new_privs has to do
		if err := dropBounding(keep); err != nil {
			return err
		}
	}
	if have.permitted&^keep == 0 {
		// There is nothing to give up, and systemd's filter may refuse the call. What a file could inherit needs a file that does.
		return nil
	}
	if err := set(sets{have.permitted & keep, have.permitted & keep, 0}); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}

func dropBounding(keep Set) error {
	for c := range uint(64) {
		there, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // the kernel knows no more
			return nil
		}
		if err != nil || there == 0 || keep.Has(Of(c)) {
			continue
		}
		if err := prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0); err != nil {
			return fmt.Errorf("take capability %d out of the bounding set: %w", c, err)
		}
	}
	return nil
}

// prctl is done on each thread.
func prctl(option, one, two uintptr) error {
	return onEachThread(unix.SYS_PRCTL, option, one, two)
}

func onEachThread(trap, a1, a2, a3 uintptr) error {
	_, _, e := syscall.AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0)
	switch {
	case e == syscall.ENOTSUP:
		return ErrCgo
	case e != 0:
		return e
	}
	return nil
}

func get() (sets, error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return sets{}, fmt.Errorf("read the capabilities: %w", err)
	}
	both := func(low, high uint32) Set { return Set(low) | Set(high)<<32 }
	return sets{
		both(data[0].Effective, data[1].Effective), both(data[0].Permitted, data[1].Permitted), both(data[0].Inheritable, data[1].Inheritable),
	}, nil
}

func set(s sets) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3} // of the thread that calls
	var data [2]unix.CapUserData
	for i := range data {
		shift := 32 * i
		data[i] = unix.CapUserData{
			Effective: uint32(s.effective >> shift), Permitted: uint32(s.permitted >> shift), Inheritable: uint32(s.inheritable >> shift),
		}
	}
	return onEachThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&data[0])), 0)
}

package lab

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts cmd inside the namespace, in the caller's mount namespace, so
// that a bpffs mounted by the lab is seen. The caller waits for the command.
// The child dies with this process, and is killed when the lab is closed.
func (ns *NS) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	started := make(chan error, 2)
	ns.children.Go(func() error {
		err := ns.Do(func() error { return ns.parent(cmd, started) })
		started <- err // only read when parent could not be entered
		return err
	})
	return <-started
}

// parent starts cmd and stays until the namespace closes: the death signal
// comes when the thread that started the child ends, so that thread has to
// live as long.
func (ns *NS) parent(cmd *exec.Cmd, started chan<- error) error {
	if err := cmd.Start(); err != nil {
		started <- fmt.Errorf("start in %s: %w", ns.Name, err)
		return nil
	}
	// Nobody has waited for it yet, so the id is still the child's.
	child, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		return fmt.Errorf("child in %s: %w", ns.Name, err)
	}
	defer unix.Close(child)
	started <- nil
	<-ns.closed
	return kill(child)
}

// kill kills a process that may have ended already, and waits for its end. It
// leaves the zombie to whoever started it.
func kill(pidfd int) error {
	if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill child: %w", err)
	}
	return retryIntr(func() error {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		return err
	})
}

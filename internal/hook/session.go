package hook

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// look is how long to wait before looking again for what was told to end.
const look = 10 * time.Millisecond

// patience is what the kernel has to end what it was told to kill, and to hand over what that wrote: that takes no grace of the
// program's, and a busy machine is slow to find its processes.
const patience = 5 * time.Second

// end ends all that is of the program: first SIGTERM to each, then SIGKILL until nobody is left. It says how many there
// were. The program itself is not reaped yet, so no other session can have its number.
func (p *process) end(grace time.Duration) (ended int, err error) {
	told := map[int]bool{}
	if p.tell(unix.SIGTERM, grace, told) || p.tell(unix.SIGKILL, patience, told) {
		return len(told), nil
	}
	return len(told), fmt.Errorf("SIGKILL has not ended all of its processes: %v", p.members())
}

// tell sends a signal to all that is of the program, and says whether nobody is left in time. It looks once more after the time:
// a look may take long.
func (p *process) tell(sig syscall.Signal, most time.Duration, told map[int]bool) bool {
	var until time.Time
	for late := false; ; late = time.Now().After(until) {
		left := p.members()
		if len(left) == 0 || late {
			return len(left) == 0
		}
		for _, pid := range left {
			if sig == unix.SIGKILL || !told[pid] {
				p.signal(pid, sig)
			}
			told[pid] = true
		}
		if until.IsZero() { // the time is theirs: finding them took none of it
			until = time.Now().Add(most)
		}
		time.Sleep(look)
	}
}

// members are the processes that are of the program: those of its session, in whatever group, and those that hold its
// output, in whatever session.
func (p *process) members() (pids []int) {
	// A hook that is being forked has all our files until it executes its program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(dir.Name()); err == nil && p.isMember(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (p *process) isMember(pid int) bool {
	if pid == os.Getpid() {
		return false
	}
	session, zombie, err := sessionOf(pid)
	if err != nil || zombie {
		return false
	}
	return session == p.cmd.Process.Pid || p.isHeldBy(pid)
}

// isHeldBy says whether a process has the pipe of the output open.
func (p *process) isHeldBy(pid int) bool {
	select {
	case <-p.drained:
		return false
	default:
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	files, err := os.ReadDir(dir)
	if err != nil {
		return false // it has ended, or is another user's
	}
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && to == p.inode {
			return true
		}
	}
	return false
}

// signal reaches a process only if it is still the one that was found.
func (p *process) signal(pid int, sig syscall.Signal) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if p.isMember(pid) {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0) // whether it ends shows
	}
}

// sessionOf reads a process's session from its stat: what follows the last parenthesis is state, parent, group, session.
func sessionOf(pid int) (session int, zombie bool, err error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 4 {
		return 0, false, errors.New("not a stat")
	}
	session, err = strconv.Atoi(string(fields[3]))
	return session, bytes.ContainsAny(fields[0], "ZX"), err
}

// inodeOf names a pipe as /proc does.
func inodeOf(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("stat a pipe: %w", fs.ErrInvalid)
	}
	return fmt.Sprintf("pipe:[%d]", stat.Ino), nil
}

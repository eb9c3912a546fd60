package hook

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// mostPatience bounds how long EndLeft waits for those that it has ended to be gone.
const mostPatience = 5 * time.Second

// EndLeft ends what programs have left behind whose daemon was killed. The program itself died with its daemon; whatever it
// had started has its call's key among its variables. It says how many processes there were.
func EndLeft(keys []string) int {
	if len(keys) == 0 {
		return 0
	}
	wanted := make([][]byte, len(keys))
	for i, key := range keys {
		wanted[i] = []byte(keyVariable + key)
	}
	seen := map[int]bool{}
	for until := time.Now().Add(mostPatience); time.Now().Before(until); time.Sleep(look) {
		left := 0
		for _, pid := range processes() {
			switch endIfOf(pid, wanted) {
			case ended:
				seen[pid] = true
				left++
			case unknown:
				left++
			}
		}
		if left == 0 { // none that began another meanwhile, either
			break
		}
	}
	return len(seen)
}

// whose says what has been found out about a process.
type whose int

const (
	other   whose = iota // it is not of the calls, or gone
	ended                // it was of one of the calls
	unknown              // it is being given its variables: look again
)

// endIfOf kills a process if it has one of the variables; the descriptor holds on to the very process that was looked at.
func endIfOf(pid int, wanted [][]byte) whose {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return other
	}
	defer unix.Close(fd)
	env, err := os.ReadFile(procFile(pid, "environ"))
	if err != nil {
		return other // it has ended, or is another user's
	}
	if len(env) == 0 && executes(pid) {
		return unknown
	}
	for variable := range bytes.SplitSeq(env, []byte{0}) {
		if slices.ContainsFunc(wanted, func(w []byte) bool { return bytes.Equal(w, variable) }) {
			if unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
				return ended
			}
			break
		}
	}
	return other
}

// executes says whether a process that showed no variables was in the middle of an execve, where the new program has none
// yet, and is not one that was given none: the kernel has then written down where they would be (fields 50 and 51 of
// /proc/PID/stat, see proc_pid_stat(5)), and that they begin where they end. What has no program file, a thread of the
// kernel or a process that is not reaped yet, never has any.
func executes(pid int) bool {
	if _, err := os.Readlink(procFile(pid, "exe")); err != nil {
		return false
	}
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return false // it has ended
	}
	const third, envStart, envEnd = 3, 50, 51 // the second, the name in parentheses, may hold anything
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= envEnd-third {
		return false
	}
	start, end := string(fields[envStart-third]), string(fields[envEnd-third])
	return end == "0" || start != end
}

func procFile(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// processes are the numbers of all but this one.
func processes() (pids []int) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(dir.Name()); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

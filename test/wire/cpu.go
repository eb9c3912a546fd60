package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// moment is the clock and the CPU time spent so far.
type moment struct {
	at  time.Time
	cpu time.Duration
}

// now takes the CPU time of this process, which is all clients and backends; of the balancer's; and of the threads that
// the kernel hands packets to when it is busy. What else the machine does is not in it, as far as it does not interrupt.
func (s *stage) now() moment {
	return moment{time.Now(), cpuOfSelf() + cpuOfTasks(s.tasks()...)}
}

func (s *stage) since(begin moment, count int) sample {
	end := s.now()
	return sample{count: count, wall: end.at.Sub(begin.at), cpu: end.cpu - begin.cpu}
}

// tasks are the directories of the balancer's threads, and of the kernel's that do packets' work.
func (s *stage) tasks() (dirs []string) {
	for _, pid := range s.pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)) // a fixed pattern is never malformed
		dirs = append(dirs, threads...)
	}
	return append(dirs, softirqThreads()...)
}

func softirqThreads() (dirs []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range all {
		comm, err := os.ReadFile(name)
		if err == nil && bytes.HasPrefix(comm, []byte("ksoftirqd/")) {
			dirs = append(dirs, filepath.Dir(name))
		}
	}
	return dirs
}

// cpuOfTasks reads the scheduler's account of threads, in ns. One that has ended counts no more.
func cpuOfTasks(dirs ...string) (sum time.Duration) {
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "schedstat"))
		if err != nil {
			continue
		}
		ran, _, _ := bytes.Cut(text, []byte(" "))
		if ns, err := strconv.ParseInt(string(ran), 10, 64); err == nil {
			sum += time.Duration(ns)
		}
	}
	return sum
}

func cpuOfSelf() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(fmt.Sprintf("read the process's CPU time: %v", err)) // no kernel refuses it
	}
	return time.Duration(t.Nano())
}

package host

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// steps counts the kernel writes of a daemon, writes them down, and kills or stops the
// process before the one that it was told.
type steps struct {
	mu   sync.Mutex
	opt  Options
	log  *os.File
	seen int
	stop bool // stopped already
}

func newSteps(opt Options) (*steps, error) {
	s := &steps{opt: opt}
	if opt.StepLog == "" {
		return s, nil
	}
	var err error
	if s.log, err = os.OpenFile(opt.StepLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("open the step log: %w", err)
	}
	return s, nil
}

func (s *steps) step(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log != nil {
		fmt.Fprintln(s.log, what)
	}
	if s.opt.StopOn != "" && !s.stop && strings.HasPrefix(what, s.opt.StopOn) {
		s.stop = true
		stopHere()
	}
	if s.opt.KillAt == 0 || !strings.HasPrefix(what, s.opt.KillOn) {
		return
	}
	s.seen++
	if s.seen == s.opt.KillAt {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// stopHere stops the process. The signal may be another thread's, which stops this one a moment later: what must not
// happen meanwhile waits for the signal that ends the stop.
func stopHere() {
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGCONT)
	defer signal.Stop(goOn)
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-goOn
}

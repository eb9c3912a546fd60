package hook

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownKey is a key of these tests alone: what else runs with the usual one, as another run of this package does, would be ended too.
var ownKey = fmt.Sprintf("own-%d/3/flip/1", os.Getpid())

// What a killed daemon's program had started is ended by its key: also what went into a session of its own and holds no
// output. Whoever has another key, or none, stays.
func TestWhatAKilledDaemonsProgramHadStartedIsEndedByItsKey(t *testing.T) {
	fifo := mustFIFO(t)
	daemon := exec.Command(os.Args[0])
	const start = `setsid sh -c 'sleep 1000 & echo $! $$ >%; wait' </dev/null >/dev/null 2>&1 & wait`
	daemon.Env = append(os.Environ(), daemonOf+"="+strings.ReplaceAll(start, "%", fifo), keyOf+"="+ownKey)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	numbers, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command("/bin/sleep", "1000")
	other.Env = []string{"EBBTIDE_KEY=" + ownKey + "0", "NOT_EBBTIDE_KEY=" + ownKey}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		other.Process.Kill()
		other.Wait()
	})
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	daemon.Wait()
	for _, text := range strings.Fields(string(numbers)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		env, err := os.ReadFile("/proc/" + text + "/environ")
		if err != nil || len(env) > 0 && !bytes.Contains(env, []byte(ownKey)) { // it has none while it executes its program
			t.Fatalf("process %d is gone before anybody ended it: %v", pid, err)
		}
	}
	if n := EndLeft([]string{"world/3/flip/9", ownKey}); n < 2 || n > 3 { // the program itself may be on its way out
		t.Errorf("%d processes were ended, want 2", n)
	}
	mustBeGone(t, string(numbers))
	if err := other.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("the other one: %v", err)
	}
	if n := EndLeft([]string{ownKey}); n != 0 {
		t.Errorf("%d were left", n)
	}
}

// A process has no variables while it executes a program, and is not overlooked then.
func TestWhoExecutesAnotherProgramIsEndedByItsKeyToo(t *testing.T) {
	again := filepath.Join(t.TempDir(), "again")
	if err := os.WriteFile(again, []byte("#!/bin/sh\nexec \"$0\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		left := exec.Command(again)
		left.Env = []string{"EBBTIDE_KEY=" + ownKey}
		if err := left.Start(); err != nil {
			t.Fatal(err)
		}
		n := EndLeft([]string{ownKey})
		if n != 1 {
			left.Process.Kill()
		}
		left.Wait()
		if n != 1 {
			t.Fatalf("%d processes were ended, want 1", n)
		}
	}
}

// Who was given no variables is not waited for.
func TestWhoHasNoVariablesExecutesNothing(t *testing.T) {
	bare := exec.Command("/bin/sleep", "1000")
	bare.Env = []string{}
	if err := bare.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		bare.Process.Kill()
		bare.Wait()
	})
	for executes(bare.Process.Pid) { // it does when it has just been started
	}
	if err := bare.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("it has ended: %v", err)
	}
}

package state

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// holdDir makes this test binary a second process that holds a directory
// until its standard input ends.
const holdDir = "EBBTIDE_TEST_HOLD_STATE_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(holdDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := Open(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	bufio.NewReader(os.Stdin).ReadByte()
}

func TestASecondProcessIsToldWhoHoldsTheDirectory(t *testing.T) {
	dir := t.TempDir()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holdDir+"="+dir)
	stdin, errIn := holder.StdinPipe()
	stdout, errOut := holder.StdoutPipe()
	if err := errors.Join(errIn, errOut, holder.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); holder.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the holder said %q, %v", line, err)
	}

	_, err := Open(dir)
	want := fmt.Sprintf("state directory %s: another ebbtide holds it (process %d)", dir, holder.Process.Pid)
	if !errors.Is(err, ErrLocked) || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}

	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	holder.Wait()
	mustOpen(t, dir)
}

func TestALockOfAnUnknownHolderIsStillALock(t *testing.T) {
	dir := t.TempDir()
	first := mustOpen(t, dir)
	if err := first.lock.Truncate(0); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	if want := "state directory " + dir + ": another ebbtide holds it"; !errors.Is(err, ErrLocked) || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
}

package lab

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
)

// dieEnv makes the test binary build a lab, say its id and wait to be killed.
const dieEnv = "EBBTIDE_LAB_DIE"

func TestMain(m *testing.M) {
	if os.Getenv(dieEnv) != "" {
		dieHalfWay()
	}
	os.Exit(m.Run())
}

// dieHalfWay builds a lab with a mount, a pin and a child, and waits.
func dieHalfWay() {
	l, err := New(Options{Backends: []string{"blue1"}})
	if err != nil {
		panic(err)
	}
	dir, err := l.MountBPFFS("bpffs")
	if err != nil {
		panic(err)
	}
	if err := l.pass.Pin(filepath.Join(dir, "pass")); err != nil {
		panic(err)
	}
	if err := l.LB.Start(exec.Command("sleep", "3600")); err != nil {
		panic(err)
	}
	os.Stdout.WriteString(l.ID + "\n")
	select {}
}

func TestWhatAKilledProcessLeftIsSwept(t *testing.T) {
	t.Parallel()
	living := Must(t, Options{Backends: []string{}})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), dieEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // if the test ends early
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dead := &Lab{ID: line[:len(line)-1]}
	dead.Dir = dirPrefix + dead.ID
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	if names, err := namespaces(nsPrefix + dead.ID); err != nil || len(names) != 5 {
		t.Fatalf("namespaces of a living process: %q, %v, want 5", names, err)
	}
	if dead.left, err = dead.objects(); err != nil || len(dead.left.programs) != 1 {
		t.Fatalf("objects: %+v, %v, want the pinned program", dead.left, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	if leaks, err := dead.Leaks(); err != nil || len(leaks) != 0 {
		t.Errorf("leaks after the sweep: %q, %v", leaks, err)
	}
	if names, err := namespaces(nsPrefix + living.ID); err != nil || len(names) != 4 {
		t.Errorf("namespaces of the lab that lives: %q, %v, want 4", names, err)
	}
}

func TestTheWholeMachineIsNotJudgedWhileALabIsInUse(t *testing.T) {
	t.Parallel()
	Must(t, Options{Backends: []string{}})
	if _, err := Leaks(); !errors.Is(err, ErrBusy) {
		t.Errorf("error %v, want ErrBusy", err)
	}
}

func TestCloseRemovesPinsAndEndsChildren(t *testing.T) {
	t.Parallel()
	l, err := New(Options{Backends: []string{"blue1"}})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := l.MountBPFFS("bpffs")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ebbt_kept", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Pin(filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "3600")
	if err := l.LB.Start(child); err != nil {
		t.Fatal(err)
	}
	var want string
	if err := l.LB.Do(func() error { want = mustLink(t, "thread-self"); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := mustLink(t, strconv.Itoa(child.Process.Pid)); got != want {
		t.Errorf("the child is in %s, want %s", got, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) {
		t.Errorf("child: %v, want killed", err)
	}
	info, err := kept.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	if leaks, err := l.Leaks(); err != nil || !slices.Equal(leaks, []string{"bpf map " + strconv.Itoa(int(id))}) {
		t.Errorf("leaks %q, %v, want the map that is held", leaks, err)
	}
	kept.Close()
	if leaks, err := l.Leaks(); err != nil || len(leaks) != 0 {
		t.Errorf("leaks %q, %v, want none", leaks, err)
	}
}

func TestAFailedBuildLeavesNothing(t *testing.T) {
	l, err := claim()
	if err != nil {
		t.Fatal(err)
	}
	l.opts = Options{Backends: []string{"blue1", "blue1"}}
	if err := l.build(); !errors.Is(err, os.ErrExist) {
		t.Errorf("a name twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close half a lab: %v", err)
	}
	if leaks, err := l.Leaks(); err != nil || len(leaks) != 0 {
		t.Errorf("leaks %q, %v, want none", leaks, err)
	}
}

// mustLink is what a namespace link of /proc says.
func mustLink(tb testing.TB, process string) string {
	tb.Helper()
	to, err := os.Readlink(filepath.Join("/proc", process, "ns/net"))
	if err != nil {
		tb.Fatal(err)
	}
	return to
}

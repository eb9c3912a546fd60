package lab

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// What a killed test had mounted goes with the next test that mounts something, and what a living one has stays.
func TestAMountOfAKilledTestIsSwept(t *testing.T) {
	dead := exec.Command("/bin/true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left, mine := t.TempDir(), t.TempDir()
	if err := unix.Mount(ownedBy+strconv.Itoa(dead.Process.Pid), left, "bpf", 0, "mode=0700"); err != nil {
		t.Fatalf("mount bpffs (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unmountUnder(left); err != nil {
			t.Error(err)
		}
	})
	MustMountBPFFS(t, mine)
	MustMountBPFFS(t, t.TempDir())
	for dir, want := range map[string]bool{left: false, mine: true} {
		if is := isBPFFS(t, dir); is != want {
			t.Errorf("%s is a bpffs: %v, want %v", dir, is, want)
		}
	}
	if _, err := os.Stat(left); err != nil {
		t.Error(err)
	}
}

func isBPFFS(t *testing.T, dir string) bool {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	return fs.Type == unix.BPF_FS_MAGIC
}

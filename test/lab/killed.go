package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownedBy begins the source of a mount that has no lab to go with; the number of the process that made it follows.
const ownedBy = "ebbtide-test-"

// MustMountBPFFS mounts a bpf filesystem on dir for one test. Those of processes that were killed, with what is pinned in them,
// go first.
func MustMountBPFFS(tb testing.TB, dir string) {
	tb.Helper()
	if err := sweepOwned(); err != nil {
		tb.Fatal(err)
	}
	source := ownedBy + strconv.Itoa(os.Getpid())
	if err := unix.Mount(source, dir, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		tb.Fatalf("mount bpffs on %s (needs root): %v", dir, err)
	}
	tb.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			tb.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// sweepOwned unmounts what processes that are dead have mounted by MustMountBPFFS.
func sweepOwned() error {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list mounts: %w", err)
	}
	var errs []error
	for line := range strings.Lines(string(info)) {
		place, kind, _ := strings.Cut(line, " - ")
		at, of := strings.Fields(place), strings.Fields(kind)
		if len(at) < 5 || len(of) < 2 || of[0] != "bpf" {
			continue
		}
		number, owned := strings.CutPrefix(of[1], ownedBy)
		pid, err := strconv.Atoi(number)
		if !owned || err != nil || unix.Kill(pid, 0) != unix.ESRCH {
			continue
		}
		// Two packages may sweep at once: what is no mount any more is EINVAL.
		if err := unix.Unmount(at[4], unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmount what a killed test left on %s: %w", at[4], err))
		}
	}
	return errors.Join(errs...)
}

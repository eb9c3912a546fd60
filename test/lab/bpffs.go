package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// MountBPFFS mounts a bpf filesystem at name under the lab's directory and
// returns where. It is unmounted, pins and all, when the lab is closed.
func (l *Lab) MountBPFFS(name string) (string, error) {
	dir := filepath.Join(l.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("bpffs directory: %w", err)
	}
	if err := unix.Mount("bpf", dir, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return "", fmt.Errorf("mount bpffs on %s: %w", dir, err)
	}
	return dir, nil
}

// MountTmpfs mounts a file system of so many bytes, which can be full, at name
// under the lab's directory. It goes with the lab.
func (l *Lab) MountTmpfs(name string, size int) (string, error) {
	dir := filepath.Join(l.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("tmpfs directory: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, fmt.Sprintf("mode=0700,size=%d", size)); err != nil {
		return "", fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
	}
	return dir, nil
}

// mountsUnder lists the mount points at or below dir, deepest last: those of a type of file system, or of all for "".
func mountsUnder(dir, kind string) ([]string, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	var mounts []string
	for line := range strings.Lines(string(info)) {
		place, source, _ := strings.Cut(line, " - ")
		fields := strings.Fields(place)
		if !strings.HasPrefix(source, kind+" ") && kind != "" {
			continue
		}
		if len(fields) > 4 && (fields[4] == dir || strings.HasPrefix(fields[4], dir+"/")) {
			mounts = append(mounts, fields[4])
		}
	}
	return mounts, nil
}

// unmountUnder unmounts whatever is mounted at or below dir.
func unmountUnder(dir string) error {
	mounts, err := mountsUnder(dir, "")
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range slices.Backward(mounts) {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", m, err))
		}
	}
	return errors.Join(errs...)
}

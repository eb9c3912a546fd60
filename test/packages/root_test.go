package packages

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// cache holds Debian's root; `make clean` removes it.
const cache = "../../bin/packages"

// release of Debian whose packages the root is made of, and what it has beside the smallest that boots.
const (
	release  = "bookworm"
	included = "systemd,systemd-sysv,dbus,iproute2,rpm"
)

// mustRoot is the directory of a clean Debian, made once.
func mustRoot(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"mmdebstrap", "systemd-nspawn"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: apt-get install mmdebstrap systemd-container", err)
		}
	}
	root, err := filepath.Abs(filepath.Join(cache, release))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); err == nil {
		return root
	}
	if err := makeRoot(t, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// makeRoot makes it under another name first: a root is whole or not there.
func makeRoot(t *testing.T, root string) error {
	t.Logf("making a root of %s in %s, once", release, root)
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	fresh := root + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	mirror, err := mirror(t)
	if err != nil {
		return err
	}
	for _, cmd := range [][]string{
		{"mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--include=" + included, release, fresh, mirror},
		// A container has nobody who logs in.
		{"systemctl", "--quiet", "--root=" + fresh, "mask", "console-getty.service", "systemd-logind.service", "getty.target"},
	} {
		if out, err := exec.CommandContext(t.Context(), cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd, " "), err, out)
		}
	}
	if err := os.Rename(fresh, root); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// mirror is where this machine takes Debian's main component from.
func mirror(t *testing.T) (string, error) {
	out, err := exec.CommandContext(t.Context(), "apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its mirror: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if uri, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && rest == "Debian main" {
			return uri, nil
		}
	}
	return "", errors.New("apt has no source of Debian's main component")
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// archive is Debian's, of the mirror that this machine uses, with package lists of its own: nothing of the machine's
// configuration changes.
type archive struct {
	dir     string
	machine machine
}

// suites that have the kernels. They are there on any mirror, whatever release this machine runs.
const suites = `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s bookworm main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %[1]s bookworm-backports main
`

func newArchive(dir string, m machine) (*archive, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("make room for package lists: %w", err)
		}
	}
	a := &archive{dir, m}
	mirror, err := mirror()
	if err != nil {
		return nil, err
	}
	list := fmt.Sprintf(suites, mirror)
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(list), 0o644); err != nil {
		return nil, fmt.Errorf("name the archive: %w", err)
	}
	return a, nil
}

// mirror is where this machine takes Debian's main component from.
func mirror() (string, error) {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its mirror: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if uri, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && rest == "Debian main" {
			return uri, nil
		}
	}
	return "", errors.New("apt has no source of Debian's main component: the kernels come from there")
}

// apt runs one of apt's tools over this archive alone.
func (a *archive) apt(ctx context.Context, dir, tool string, args ...string) ([]byte, error) {
	args = append([]string{
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(a.dir, "sources.list"), "-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State::lists=" + filepath.Join(a.dir, "lists"), "-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=" + a.machine.arch, "-o", "APT::Architectures=" + a.machine.arch, "-qq",
	}, args...)
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = dir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args[len(args)-2:], " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out, nil
}

// fetch brings the newest kernel of a series, or gives the one that was brought before.
func (a *archive) fetch(ctx context.Context, series string) (*kernel, error) {
	dir := filepath.Join(filepath.Dir(a.dir), series)
	if k, err := kernelIn(series, dir, a.machine); err == nil {
		return k, nil
	}
	if _, err := a.apt(ctx, ".", "apt-get", "update"); err != nil {
		return nil, err
	}
	name, err := a.newest(ctx, series)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := a.apt(ctx, dir, "apt-get", "download", name); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return nil, fmt.Errorf("look for the package %s: %w", name, err)
	}
	if len(debs) != 1 {
		return nil, fmt.Errorf("%d packages came for %s", len(debs), name)
	}
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", debs[0], dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w: %s", name, err, out)
	}
	return kernelIn(series, dir, a.machine)
}

// newest names the newest signed cloud kernel of a series.
func (a *archive) newest(ctx context.Context, series string) (string, error) {
	out, err := a.apt(ctx, ".", "apt-cache", "pkgnames", "linux-image-"+series+".")
	if err != nil {
		return "", err
	}
	named := regexp.MustCompile(`^linux-image-[0-9.]+(-[0-9]+|\+deb[0-9.]+)-cloud-` + a.machine.arch + `$`)
	best := ""
	for name := range strings.FieldsSeq(string(out)) {
		if named.MatchString(name) && (best == "" || newer(name, best)) {
			best = name
		}
	}
	if best == "" {
		return "", fmt.Errorf("the archive has no cloud kernel of series %s", series)
	}
	return best, nil
}

// newer asks dpkg, which knows how versions are ordered.
func newer(a, b string) bool {
	return exec.Command("dpkg", "--compare-versions", a, "gt", b).Run() == nil
}

package packages

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// build makes the packages of a version, once a version.
func build(t *testing.T, version string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if dir := built.dirs[version]; dir != "" {
		return dir
	}
	dir, err := filepath.Abs(filepath.Join(built.under, version))
	if err != nil {
		t.Fatal(err)
	}
	buildInto(t, dir, version)
	built.dirs[version] = dir
	return dir
}

var built = struct {
	sync.Mutex
	under string
	dirs  map[string]string
}{under: cache + "/dist", dirs: map[string]string{}}

func buildInto(t *testing.T, dir, version string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./packaging", "-dist", dir, "-version", version)
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		// What a run that was killed has left goes, too.
		if err := errors.Join(os.RemoveAll(built.under), os.MkdirAll(built.under, 0o755)); err != nil {
			panic(err)
		}
		defer os.RemoveAll(built.under)
		return m.Run()
	}())
}

const first, second = "1.0.0", "1.0.1"

func TestTwoBuildsAreTheSameBytes(t *testing.T) {
	one, two := build(t, first), filepath.Join(t.TempDir(), "dist")
	buildInto(t, two, first, "TZ=Asia/Tokyo", "TMPDIR="+t.TempDir())
	entries, err := os.ReadDir(one)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 10 { // of each architecture a .deb, a .rpm, a .tar.gz and what is in it; the documentation; the sums
		t.Errorf("%d files, want 10: %v", len(entries), entries)
	}
	for _, e := range entries {
		if !bytes.Equal(mustRead(t, filepath.Join(one, e.Name())), mustRead(t, filepath.Join(two, e.Name()))) {
			t.Errorf("%s differs between two builds", e.Name())
		}
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = one
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestBothArchitecturesHaveTheCommittedObjects(t *testing.T) {
	objects, err := filepath.Glob("../../bpf/*_bpfel.o")
	if err != nil || len(objects) == 0 {
		t.Fatalf("no committed objects (%v)", err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for arch, machine := range machines {
		binary := mustBinary(t, arch)
		if header, err := elf.NewFile(bytes.NewReader(binary)); err != nil || header.Machine != machine {
			t.Errorf("the binary for %s is for %v (%v)", arch, header.Machine, err)
		}
		for _, object := range objects {
			data := mustRead(t, object)
			if header, err := elf.NewFile(bytes.NewReader(data)); err != nil || header.Machine != elf.EM_BPF || header.Data != elf.ELFDATA2LSB {
				t.Errorf("%s is no little-endian BPF object (%v)", object, err)
			}
			if !bytes.Contains(binary, data) {
				t.Errorf("the binary for %s has not the bytes of %s", arch, object)
			}
		}
	}
}

// mustBinary unpacks it from the package.
func mustBinary(t *testing.T, arch string) []byte {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "dpkg-deb", "-x", deb(t, first, arch), dir).CombinedOutput(); err != nil {
		t.Fatalf("unpack the package for %s: %v: %s", arch, err, out)
	}
	return mustRead(t, filepath.Join(dir, "usr/bin/ebbtide"))
}

func deb(t *testing.T, version, arch string) string {
	t.Helper()
	return filepath.Join(build(t, version), "ebbtide_"+version+"_"+arch+".deb")
}

func TestTheListOfModulesNamesWhatIsInTheBinary(t *testing.T) {
	list := string(mustRead(t, filepath.Join(build(t, first), "ebbtide_"+first+"_arm64.cdx.json")))
	for _, want := range []string{`"bomFormat": "CycloneDX"`, "pkg:golang/github.com/cilium/ebpf@", "pkg:golang/github.com/spf13/cobra@"} {
		if !strings.Contains(list, want) {
			t.Errorf("%s is not in the list", want)
		}
	}
	if strings.Contains(list, "goreleaser") {
		t.Error("the list has modules of the tools that packages are built with")
	}
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Who takes no package gets the same binary, and can read the documentation.
func TestTheArchivesHaveTheBinaryAndTheDocumentation(t *testing.T) {
	dist, out := build(t, first), t.TempDir()
	for _, name := range []string{"ebbtide_" + first + "_amd64", "ebbtide_" + first + "_arm64", "ebbtide_" + first + "_site"} {
		if text, err := exec.CommandContext(t.Context(), "tar", "-xzf", filepath.Join(dist, name+".tar.gz"), "-C", out).CombinedOutput(); err != nil {
			t.Fatalf("unpack %s: %v\n%s", name, err, text)
		}
	}
	said, err := exec.CommandContext(t.Context(), filepath.Join(out, "ebbtide_"+first+"_amd64", "ebbtide"), "version").CombinedOutput()
	if err != nil || !strings.Contains(string(said), "ebbtide") {
		t.Errorf("the binary says %q: %v", said, err)
	}
	for _, name := range []string{
		"ebbtide_" + first + "_arm64/ebbtide", "ebbtide_" + first + "_arm64/man/ebbtide.1.gz", "ebbtide_" + first + "_arm64/completions/_ebbtide",
		"ebbtide_" + first + "_arm64/LICENSE", "ebbtide_" + first + "_site/index.html", "ebbtide_" + first + "_site/docs/cli.html",
	} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
}

package web

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The committed files of the page are what its sources build, so that nobody has to build them, or to believe in them.
func TestTheCommittedPageIsWhatTheSourcesBuild(t *testing.T) {
	const committed = "../../internal/web"
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "index.html"} {
		mustCopy(t, filepath.Join(committed, "ui", name), filepath.Join(dir, "ui", name))
	}
	for _, sub := range []string{"src", "public"} {
		if err := os.CopyFS(filepath.Join(dir, "ui", sub), os.DirFS(filepath.Join(committed, "ui", sub))); err != nil {
			t.Fatal(err)
		}
	}
	mustHaveModules(t, filepath.Join(dir, "ui"))
	build := exec.Command("npm", "run", "build")
	build.Dir = filepath.Join(dir, "ui")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("npm run build: %v\n%s", err, out)
	}
	want, got := mustRead(t, filepath.Join(committed, "dist")), mustRead(t, filepath.Join(dir, "dist"))
	for name, text := range want {
		if !bytes.Equal(text, got[name]) {
			t.Errorf("%s is not what the sources build: run `make ui`, and commit what it changes", name)
		}
	}
	if len(want) != len(got) {
		t.Errorf("%d files are committed, and %d are built: run `make ui`", len(want), len(got))
	}
}

// A lock file that names a registry's host would be of use where that is reached only.
func TestNoRegistryIsNamed(t *testing.T) {
	for _, name := range []string{"package-lock.json", "../../internal/web/ui/package-lock.json"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"resolved"`) {
			t.Errorf("%s names where packages come from: npm config set omit-lockfile-registry-resolved true, and npm install", name)
		}
	}
}

func mustCopy(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		out[strings.TrimPrefix(name, dir)] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

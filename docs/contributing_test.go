package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	target = regexp.MustCompile(`(?m)^([a-z0-9-]+):.*##`)
	asked  = regexp.MustCompile(`(?m)(?:^|[\s;&|(])make ([a-z0-9-]+)`)
	mapRow = regexp.MustCompile("(?m)^\\| (`[a-z0-9/`, -]+) \\|")
)

const ourPath = "github.com/ebbtide/ebbtide/"

func TestMakeHelpNamesEveryTargetAndThePagesOnlyThoseThatExist(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "help")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(mustRead(t, "../Makefile"), -1) {
		targets[m[1]] = true
		if !strings.Contains("\n"+string(out), "\n"+m[1]+" ") {
			t.Errorf("make help does not name %s", m[1])
		}
	}
	for _, page := range pages {
		for _, code := range codeOf(mustRead(t, page)) {
			for _, m := range asked.FindAllStringSubmatch(code, -1) {
				if !targets[m[1]] {
					t.Errorf("%s: there is no `make %s`", page, m[1])
				}
			}
		}
	}
}

// The map names each package, and code imports rows above its own only.
func TestTheMapOfTheCodeIsThatOfTheCode(t *testing.T) {
	_, page, _ := strings.Cut(mustRead(t, "../CONTRIBUTING.md"), "## A map of the code")
	page, _, _ = strings.Cut(page, "\n## ")
	rows := map[string]int{}
	for n, m := range mapRow.FindAllStringSubmatch(page, -1) {
		for _, place := range inline.FindAllStringSubmatch(m[1], -1) {
			rows[strings.TrimSuffix(place[1], "/")] = n + 1
		}
	}
	for _, parent := range []string{"internal", "test"} {
		entries, err := os.ReadDir(filepath.Join("..", parent))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() && rows[parent+"/"+e.Name()] == 0 {
				t.Errorf("the map has no %s/%s", parent, e.Name())
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./maps/...", "./loader/...", "./internal/...", "./cmd/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		importer, imports, _ := strings.Cut(line, " ")
		for _, imported := range strings.Fields(imports) {
			if own := rowOf(rows, importer); strings.HasPrefix(imported, ourPath) && rowOf(rows, imported) > own {
				t.Errorf("%s imports %s, which is further down in the map", importer, imported)
			}
		}
	}
}

// rowOf a package is that of the nearest directory that the map has.
func rowOf(rows map[string]int, pkg string) int {
	for place := strings.TrimPrefix(pkg, ourPath); place != "."; place = filepath.Dir(place) {
		if rows[place] != 0 {
			return rows[place]
		}
	}
	return 0
}

package docs_test

import (
	"regexp"
	"testing"
)

var (
	direct = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // an indirect one has a comment
	row    = regexp.MustCompile("(?m)^\\| `([\\w./~-]+)` \\|")
)

// Each module that go.mod names for us has a row that says why, and each row has its module.
func TestEveryDirectDependencyIsJustified(t *testing.T) {
	wanted, told := map[string]bool{}, map[string]bool{}
	for _, m := range direct.FindAllStringSubmatch(mustRead(t, "../go.mod"), -1) {
		wanted[m[1]] = true
	}
	for _, m := range row.FindAllStringSubmatch(mustRead(t, "dependencies.md"), -1) {
		told[m[1]] = true
	}
	if len(wanted) < 10 {
		t.Fatalf("go.mod was misread: %v", wanted)
	}
	for module := range wanted {
		if !told[module] {
			t.Errorf("dependencies.md does not say why there is %s", module)
		}
	}
	for module := range told {
		if !wanted[module] {
			t.Errorf("dependencies.md tells of %s, which go.mod does not name", module)
		}
	}
}

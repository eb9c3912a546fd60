package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shownBy = regexp.MustCompile("(?m)^- `((?:Test|Fuzz)\\w+)` in `([\\w/]+)`$")

// Each threat names the tests that show what the page says of it, and they are there.
func TestTheTestsThatThreatsNameExist(t *testing.T) {
	page := mustRead(t, "threats.md")
	if lines := strings.Count(page, "\n- `"); lines != len(shownBy.FindAllString(page, -1)) {
		t.Errorf("%d lines begin as those of tests do, and some are not: - `TestName` in `directory`", lines)
	}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		tests := shownBy.FindAllStringSubmatch(body, -1)
		if len(tests) == 0 {
			t.Errorf("%s: no test shows it", title)
		}
		for _, m := range tests {
			if !hasTest(t, m[2], m[1]) {
				t.Errorf("%s: %s has no %s", title, m[2], m[1])
			}
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", dir, files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}

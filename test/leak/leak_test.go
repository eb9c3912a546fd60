// Package leak looks at the whole machine when all tests have ended. `make test` runs it last, and once before all: what was
// there then is not theirs.
package leak

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// beforeEnv names the file with what was there before the tests. Where there is none yet, it is written.
const beforeEnv = "EBBTIDE_LEFT_BEFORE"

func TestNothingOfTheTestsIsLeft(t *testing.T) {
	leaks, err := lab.Leaks()
	if errors.Is(err, lab.ErrBusy) {
		t.Skipf("%v: `make test` runs this alone, at the end", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	before, known := mustReadBefore(t)
	if !known {
		mustWriteBefore(t, leaks)
		return
	}
	for _, leak := range leaks {
		if !slices.Contains(before, leak) {
			t.Errorf("left behind, or an ebbtide of this machine's own: %s", leak)
		}
	}
}

// mustReadBefore gives what was there before, nothing where nobody asks; not known when that is what this run is to find out.
func mustReadBefore(t *testing.T) (before []string, known bool) {
	t.Helper()
	path := os.Getenv(beforeEnv)
	if path == "" {
		return nil, true
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n"), true
}

func mustWriteBefore(t *testing.T, leaks []string) {
	t.Helper()
	for _, leak := range leaks {
		t.Logf("there before the tests: %s", leak)
	}
	if err := os.WriteFile(os.Getenv(beforeEnv), []byte(strings.Join(leaks, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

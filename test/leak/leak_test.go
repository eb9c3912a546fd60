// Package leak looks at the whole machine when all tests have ended. `make test` runs it last.
package leak

import (
	"errors"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

func TestNothingOfTheTestsIsLeft(t *testing.T) {
	leaks, err := lab.Leaks()
	if errors.Is(err, lab.ErrBusy) {
		t.Skipf("%v: `make test` runs this alone, at the end", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range leaks {
		t.Errorf("left behind, or an ebbtide of this machine's own: %s", leak)
	}
}

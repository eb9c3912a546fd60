package maps

import (
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/bpf"
)

func TestEveryReasonHasANameAndACount(t *testing.T) {
	reasons, err := mustTables(t).Reasons()
	must(t, err)
	if len(reasons) != int(bpf.ProgramReasonREASONS) {
		t.Errorf("%d names for %d reasons", len(reasons), bpf.ProgramReasonREASONS)
	}
	for name, n := range reasons {
		kind, _, _ := strings.Cut(name, "_")
		if n != 0 || kind != "pass" && kind != "drop" && kind != "event" {
			t.Errorf("reason %q counts %d", name, n)
		}
	}
}

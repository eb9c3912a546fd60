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

// A reason that is new has no text yet: give it a line in ReasonTexts.
func TestEveryReasonIsExplainedOnceAndInOrder(t *testing.T) {
	texts := ReasonTexts()
	if len(texts) != int(bpf.ProgramReasonREASONS) {
		t.Errorf("%d texts for %d reasons", len(texts), bpf.ProgramReasonREASONS)
	}
	for r := range bpf.ProgramReasonREASONS {
		name, err := ReasonName(r)
		must(t, err)
		if int(r) >= len(texts) || texts[r].Reason != r {
			t.Fatalf("%s has no text in its place in ReasonTexts", name)
		}
		if text := texts[r]; text.Meaning == "" || text.Advice == "" || strings.ContainsAny(text.Meaning+text.Advice, "|\n\t") {
			t.Errorf("%s: its text is empty, or no cell of a table: %+v", name, text)
		}
	}
}

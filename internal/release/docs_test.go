package release

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "draw the diagram and the table anew")

const page = "../../docs/releases.md"

// The page's diagram and table are those of the code.
func TestThePageShowsTheTable(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for mark, drawn := range map[string]string{
		"diagram": "```mermaid\n" + Diagram() + "```\n",
		"table":   Table(),
	} {
		begin, end := "<!-- "+mark+": written from the code by: go test ./internal/release -update -->\n\n", "\n<!-- end of the "+mark+" -->"
		head, rest, begins := strings.Cut(want, begin)
		_, tail, ends := strings.Cut(rest, end)
		if !begins || !ends {
			t.Fatalf("%s has no place for the %s: %q and %q", page, mark, begin, end)
		}
		want = head + begin + drawn + end + tail
	}
	switch {
	case *update:
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case want != string(text):
		t.Errorf("%s is not what the code says (write it anew with -update)", page)
	}
}

package daemon

import (
	"bytes"
	"fmt"
	"testing"
)

func TestATailKeepsTheLastLinesWhole(t *testing.T) {
	var kept tail
	for i := range 100_000 {
		fmt.Fprintf(&kept, "line %d of the log\n", i)
	}
	got := kept.bytes()
	lines := bytes.Split(bytes.TrimSuffix(got, []byte("\n")), []byte("\n"))
	if len(got) > 2*tailBytes || len(got) < tailBytes/2 {
		t.Errorf("%d bytes are kept", len(got))
	}
	first := 100_000 - len(lines)
	for i, line := range lines {
		if want := fmt.Sprintf("line %d of the log", first+i); string(line) != want {
			t.Fatalf("line %d is %q, want %q", i, line, want)
		}
	}
}

package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/metrics"
)

// What stands around the table of metrics.
const (
	tableBegin = "<!-- Written from the metrics themselves by: go test ./internal/metrics -update -->\n\n"
	tableEnd   = "\nBehind these stand"
)

func TestThePageOnMetricsHasTheirTable(t *testing.T) {
	const name = "../../docs/metrics.md"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begins := strings.Cut(string(data), tableBegin)
	_, tail, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table: %q and %q", name, tableBegin, tableEnd)
	}
	_, table := metrics.Described()
	want := head + tableBegin + table + tableEnd + tail
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(data) != want {
		t.Errorf("the table is not that of the code (write it anew with -update)")
	}
}

var typeLine = regexp.MustCompile(`(?m)^# TYPE (\w+) `)

// A metric that is described is shown, and in the order of the table.
func TestEveryMetricThatIsDescribedIsShown(t *testing.T) {
	page, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, m := range typeLine.FindAllStringSubmatch(string(page), -1) {
		shown = append(shown, m[1])
	}
	if names, _ := metrics.Described(); !slices.Equal(shown, names) {
		t.Errorf("shown are %v\ndescribed are %v", shown, names)
	}
}

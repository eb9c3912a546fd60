package metrics

import (
	"fmt"
	"strings"
)

// Names of all metrics, and the table of docs/metrics.md.
func Described() (names []string, table string) {
	var b strings.Builder
	b.WriteString("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, d := range descs() {
		names = append(names, "ebbtide_"+d.name)
		fmt.Fprintf(&b, "| `ebbtide_%s` | %s | %s | %s |\n", d.name, d.kind, strings.Join(d.labels, ", "), d.help)
	}
	return names, b.String()
}

package report

import (
	"fmt"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Markdown writes a report as a page of Markdown. Of the sessions it has the counts that matter: the plot is in [HTML].
func Markdown(r api.Report) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", markdown(title(r)))
	for _, f := range facts(r) {
		fmt.Fprintf(&b, "- %s: %s\n", f.Name, markdown(f.Text))
	}
	b.WriteString("\n## Sessions\n\n")
	if len(r.Sessions) == 0 {
		b.WriteString("Nothing was counted.\n")
	} else {
		header(&b, "generation", "version", "first counted", "last counted", "at most", "at the end")
	}
	for _, s := range r.Sessions {
		most := uint64(0)
		for _, p := range s.Points {
			most = max(most, p.Sessions)
		}
		first, last := s.Points[0], s.Points[len(s.Points)-1]
		row(&b, nameOf(s.Generation), markdown(orDash(s.Generation.Version)), moment(first.At), moment(last.At), fmt.Sprint(most), fmt.Sprint(last.Sessions))
	}
	for _, t := range tables(r) {
		t.markdown(&b)
	}
	return []byte(b.String())
}

func (t table) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", t.Title)
	if len(t.Rows) == 0 {
		fmt.Fprintln(b, t.None)
		return
	}
	header(b, t.Columns...)
	for _, cells := range t.Rows {
		out := make([]string, len(cells))
		for i, cell := range cells {
			out[i] = markdown(cell)
		}
		row(b, out...)
	}
}

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"github.com/ebbtide/ebbtide/internal/api"
)

//go:embed report.gohtml
var pageText string

// HTML writes a report as one page, with its plot in it. It has no script and asks for nothing from anywhere, and tells
// browsers to let it have neither.
func HTML(r api.Report) ([]byte, error) {
	page, err := template.New("report").Funcs(template.FuncMap{"plain": plain}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("read the report's template: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, struct {
		Title  string
		Facts  []fact
		Plot   *plot
		Tables []table
	}{title(r), facts(r), plotOf(r), tables(r)}); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	return out.Bytes(), nil
}

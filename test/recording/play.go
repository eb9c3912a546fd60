package recording

import (
	"fmt"
	"html"
	"image/color"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// How the picture of a screen is laid out, in its own units.
const (
	cellWidth  = 8.4 // of a character of 14 units
	cellHeight = 20
	edge       = 14
	lastStays  = 4 // seconds for which the end is shown before it begins anew
)

// Play draws a recording as an SVG that plays it over and over. It needs no script. Each line of the screen is a strip of all
// that the line ever was, of which one part is seen at a time. Whoever wants no motion sees how it ends.
func (c Cast) Play() []byte {
	rows := make([][]shown, c.Height)
	length := float64(lastStays)
	for _, f := range c.frames() {
		length = f.at + lastStays
		for y, r := range f.rows {
			if n := len(rows[y]); n == 0 || !rows[y][n-1].row.equal(r) {
				rows[y] = append(rows[y], shown{f.at, r})
			}
		}
	}
	width, height := float64(c.Width)*cellWidth+2*edge, c.Height*cellHeight+2*edge
	var style, body strings.Builder
	for y, strip := range rows {
		if len(strip) == 1 && len(strip[0].row) == 0 {
			continue // always empty
		}
		writeStrip(&style, &body, y, strip, length)
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" role="img" aria-label="%s">
<title>%s</title>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#e7eef2;white-space:pre}
.b{fill:#4c97e8}.g{fill:#3dbd8b}
g{animation:%.3fs step-end infinite}
%s@media (prefers-reduced-motion:reduce){g{animation:none}}
</style>
<rect width="100%%" height="100%%" rx="8" fill="#0c161d"/>
%s</svg>
`, width, height, html.EscapeString(c.Title), html.EscapeString(c.Title), length, style.String(), body.String())
}

// shown is what a line is from a time on.
type shown struct {
	at  float64
	row row
}

// writeStrip draws all that a line was, below each other, and moves the strip so that the right one is in the line's window.
func writeStrip(style, body *strings.Builder, y int, strip []shown, length float64) {
	last := len(strip) - 1
	fmt.Fprintf(body, `<svg x="%d" y="%d" height="%d"><g id="r%d">`, edge, edge+y*cellHeight, cellHeight, y)
	for n, s := range strip {
		writeRow(body, n, s.row)
	}
	body.WriteString("</g></svg>\n")
	fmt.Fprintf(style, "#r%d{transform:translateY(%dpx)", y, -last*cellHeight)
	if last == 0 {
		style.WriteString(";animation:none}\n")
		return
	}
	fmt.Fprintf(style, ";animation-name:k%d}\n@keyframes k%d{", y, y)
	for n, s := range strip {
		fmt.Fprintf(style, "%.2f%%{transform:translateY(%dpx)}", s.at/length*100, -n*cellHeight)
	}
	fmt.Fprintf(style, "100%%{transform:translateY(%dpx)}}\n", -last*cellHeight)
}

// writeRow draws a line. Its length is given because the widths of a font's characters are not.
func writeRow(body *strings.Builder, n int, r row) {
	if len(r) == 0 {
		return
	}
	fmt.Fprintf(body, `<text y="%d" textLength="%.0f">`, n*cellHeight+15, float64(r.width())*cellWidth)
	for _, part := range r {
		text := html.EscapeString(part.text)
		if class := classOf(part.colour); class != "" {
			text = `<tspan class="` + class + `">` + text + `</tspan>`
		}
		body.WriteString(text)
	}
	body.WriteString("</text>")
}

// classOf is empty for a colour that the demo does not use.
func classOf(c color.Color) string {
	switch c {
	case ansi.Blue:
		return "b"
	case ansi.Green:
		return "g"
	}
	return ""
}

package recording

import (
	"fmt"
	"strings"
)

// How the picture of the tide is laid out, in its own units. Its letters can be read on a phone.
const (
	pictureWidth  = 640
	pictureHeight = 320
	plotLeft      = 56
	plotRight     = pictureWidth - 16
	plotTop       = 64
	plotBottom    = pictureHeight - 40
	secondsApart  = 5 // of the marks on the axis
)

// plot turns seconds and sessions into places in the picture.
type plot struct{ end, most float64 }

func (p plot) x(at float64) float64 { return plotLeft + at/p.end*(plotRight-plotLeft) }

func (p plot) y(sessions int) float64 {
	return plotBottom - float64(sessions)/p.most*(plotBottom-plotTop)
}

// Draw draws the tide as an SVG: the sessions by colour, stacked, with the flip and the end of the drain as marks.
func (t Tide) Draw() []byte {
	p := plot{end: max(t.Samples[len(t.Samples)-1].At, t.Drained)}
	for _, s := range t.Samples {
		p.most = max(p.most, float64(s.Blue+s.Green))
	}
	none := func(Sample) int { return 0 }
	blue := func(s Sample) int { return s.Blue }
	all := func(s Sample) int { return s.Blue + s.Green }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">
<style>
svg{background:#f4f7f9}text{font:21px system-ui,sans-serif;fill:#14222c}.soft{fill:#45565f;font-size:18px}
.line{stroke:#d3dde3}.mark{stroke:#14222c;stroke-dasharray:5 4}.blue{fill:#2f7fd6}.green{fill:#2aa876}.on{fill:#fff;font-weight:600}
@media (prefers-color-scheme:dark){svg{background:#0c161d}text{fill:#e7eef2}.soft{fill:#a9bac4}.line{stroke:#2c3d49}.mark{stroke:#e7eef2}
.blue{fill:#2a5f9c}.green{fill:#23795a}.on{fill:#fff}}
</style>
`, pictureWidth, pictureHeight, t.caption())
	p.axes(&b)
	fmt.Fprintf(&b, `<path id="blue" class="blue" d="%s"/>`+"\n", p.area(t.Samples, none, blue))
	fmt.Fprintf(&b, `<path id="green" class="green" d="%s"/>`+"\n", p.area(t.Samples, blue, all))
	p.mark(&b, "flip", t.Flipped, "start", 24, "flip: new sessions go to green")
	p.mark(&b, "drained", t.Drained, "end", 52, "drained: blue is empty")
	fmt.Fprintf(&b, `<text class="on" x="%.0f" y="%d">blue 1.9</text>`+"\n", p.x(t.Flipped)+10, plotBottom-18)
	fmt.Fprintf(&b, `<text class="on" x="%.0f" y="%d" text-anchor="end">green 2.0</text>`+"\n</svg>\n", p.x(p.end)-14, plotBottom-18)
	return []byte(b.String())
}

// caption says in words what is to be seen.
func (t Tide) caption() string {
	last := t.Samples[len(t.Samples)-1]
	return fmt.Sprintf("Open sessions over time in the demo. At %.1f s the flip sends new sessions to green; blue empties by itself and is drained at %.1f s, with %d sessions on green and %d of %d players broken.",
		t.Flipped, t.Drained, last.Green, t.Broken, t.Players)
}

// axes draws the lines of the sessions, and the seconds.
func (p plot) axes(b *strings.Builder) {
	for _, part := range []float64{0, 0.5, 1} {
		n := int(p.most * part)
		fmt.Fprintf(b, `<path class="line" d="M%d %.1fH%d"/><text class="soft" x="%d" y="%.1f" text-anchor="end">%d</text>`+"\n",
			plotLeft, p.y(n), plotRight, plotLeft-8, p.y(n)+6, n)
	}
	for at := 0; float64(at) <= p.end; at += secondsApart {
		anchor, unit := "middle", ""
		if at == 0 {
			anchor, unit = "start", " s"
		}
		fmt.Fprintf(b, `<text class="soft" x="%.1f" y="%d" text-anchor="%s">%d%s</text>`+"\n", p.x(float64(at)), plotBottom+26, anchor, at, unit)
	}
}

// area is the path between two lines: the upper one there, the lower one back.
func (p plot) area(samples []Sample, lower, upper func(Sample) int) string {
	var b strings.Builder
	op := 'M'
	for _, s := range samples {
		fmt.Fprintf(&b, "%c%.1f %.1f", op, p.x(s.At), p.y(upper(s)))
		op = 'L'
	}
	for i := len(samples) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "L%.1f %.1f", p.x(samples[i].At), p.y(lower(samples[i])))
	}
	return b.String() + "Z"
}

// mark draws a line at a time with what happened there, on one side of it.
func (p plot) mark(b *strings.Builder, id string, at float64, anchor string, y int, text string) {
	x, shift := p.x(at), 6.0
	if anchor == "end" {
		shift = -shift
	}
	fmt.Fprintf(b, `<g id="%s"><path class="mark" d="M%.1f %dV%d"/><text x="%.1f" y="%d" text-anchor="%s">%s</text></g>`+"\n",
		id, x, y-16, plotBottom, x+shift, y, anchor, text)
}

package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// The size of a plot, and what is left of it to the lines.
const (
	plotWidth, plotHeight = 860, 300
	plotLeft, plotRight   = 60, 850
	plotTop, plotBottom   = 30, 260
	yTicks, xTicks        = 4, 6
	blue, green, another  = "#2563eb", "#15803d", "#9ca3af"
)

// plot is the sessions of generations over time, as the template draws it.
type plot struct {
	Width, Height            int
	Left, Right, Top, Bottom int
	Lines                    []plotLine
	X, Y                     []tick
	Marks                    []tick
}

type plotLine struct{ Name, Colour, Points string }

type tick struct {
	At   float64
	Text string
}

// plotOf draws a report's series; nil when there is nothing to draw.
func plotOf(r api.Report) *plot {
	begin, end, most := extent(r)
	if !begin.Before(end) {
		return nil
	}
	p := &plot{Width: plotWidth, Height: plotHeight, Left: plotLeft, Right: plotRight, Top: plotTop, Bottom: plotBottom}
	x := func(t time.Time) float64 {
		return round(plotLeft + (plotRight-plotLeft)*t.Sub(begin).Seconds()/end.Sub(begin).Seconds())
	}
	step := nice(float64(most) / yTicks)
	top := step * max(1, math.Ceil(float64(most)/step))
	y := func(n float64) float64 { return round(plotBottom - (plotBottom-plotTop)*n/top) }
	for n := 0.0; n <= top; n += step {
		p.Y = append(p.Y, tick{y(n), fmt.Sprintf("%.0f", n)})
	}
	for i := range xTicks {
		at := begin.Add(end.Sub(begin) / (xTicks - 1) * time.Duration(i))
		p.X = append(p.X, tick{x(at), at.UTC().Format("15:04:05")})
	}
	for _, s := range r.Sessions {
		var points strings.Builder
		for _, at := range s.Points {
			fmt.Fprintf(&points, "%g,%g ", x(at.At), y(float64(at.Sessions)))
		}
		p.Lines = append(p.Lines, plotLine{strings.TrimSuffix(refText(s.Generation), ", version "), colourOf(s.Generation), strings.TrimSpace(points.String())})
	}
	for _, m := range []struct {
		at   *time.Time
		text string
	}{{r.Flipped, "flip"}, {r.Drained, "drained"}} {
		if m.at != nil && !m.at.Before(begin) && !m.at.After(end) {
			p.Marks = append(p.Marks, tick{x(*m.at), m.text})
		}
	}
	return p
}

func extent(r api.Report) (begin, end time.Time, most uint64) {
	for _, s := range r.Sessions {
		for _, p := range s.Points {
			if begin.IsZero() || p.At.Before(begin) {
				begin = p.At
			}
			if p.At.After(end) {
				end = p.At
			}
			most = max(most, p.Sessions)
		}
	}
	return begin, end, most
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// nice is 1, 2 or 5 times a power of ten, not less than v, and 1 at least.
func nice(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(1, v))))
	for _, n := range []float64{1, 2, 5} {
		if n*unit >= v {
			return n * unit
		}
	}
	return 10 * unit
}

func colourOf(g api.GenerationRef) string {
	switch g.Colour {
	case "blue":
		return blue
	case "green":
		return green
	}
	return another
}

package top

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const axisWidth = 8 // what stands left of the chart

// band is one generation in the chart.
type band struct {
	generation uint32
	ink        ink
}

// chart draws sessions over time, generations upon each other, the first of
// bands at the bottom. Its last column is now; the picture moves until it is
// as wide as the screen, and then it gets narrower, never cut.
func (h *history) chart(bands []band, width, height int, every time.Duration, paint painter) []string {
	columns := h.columns(max(1, width-axisWidth), every)
	var top uint64 = 1
	for _, p := range columns {
		if p != nil {
			top = max(top, p.total(bands))
		}
	}
	rows := make([]string, 0, height+1)
	for row := range height {
		label := ""
		switch row {
		case 0:
			label = fmt.Sprint(top)
		case height - 1:
			label = "0"
		}
		rows = append(rows, fmt.Sprintf("%*s ┤", axisWidth-2, label)+chartRow(columns, bands, float64(top), height-1-row, height, paint))
	}
	return append(rows, h.axis(max(1, width-axisWidth), every))
}

// chartRow is the cells between row/height and (row+1)/height of top. A cell
// is of the generation in whose band its middle is.
func chartRow(columns []*point, bands []band, top float64, row, height int, paint painter) string {
	var b strings.Builder
	middle := (float64(row) + 0.5) / float64(height) * top
	for _, p := range columns {
		cell, sum := " ", 0.0
		for _, band := range bands {
			if p == nil {
				break
			}
			sum += float64(p.gens[band.generation].sessions)
			if middle < sum {
				cell = paint(band.ink, band.ink.full)
				break
			}
		}
		b.WriteString(cell)
	}
	return b.String()
}

// columns gives the newest point of each column's time, nil before the first.
func (h *history) columns(width int, every time.Duration) []*point {
	out := make([]*point, width)
	if len(h.points) == 0 {
		return out
	}
	step, last := h.step(width, every), h.points[len(h.points)-1].at
	next := 0
	for i := range out {
		end := last.Add(-step * time.Duration(width-1-i))
		for next < len(h.points) && !h.points[next].at.After(end) {
			next++
		}
		if next > 0 {
			out[i] = &h.points[next-1]
		}
	}
	return out
}

// step is the time of a column.
func (h *history) step(width int, every time.Duration) time.Duration {
	if len(h.points) == 0 || width < 2 {
		return every
	}
	whole := h.points[len(h.points)-1].at.Sub(h.points[0].at)
	return max(every, time.Duration(math.Ceil(float64(whole)/float64(width-1))))
}

func (h *history) axis(width int, every time.Duration) string {
	ago := "-" + (h.step(width, every) * time.Duration(width-1)).Round(time.Second).String()
	gap := max(1, width-len(ago)-len("now"))
	return strings.Repeat(" ", axisWidth-1) + "└" + ago + strings.Repeat(" ", gap) + "now"
}

func (p *point) total(bands []band) (sum uint64) {
	for _, b := range bands {
		sum += p.gens[b.generation].sessions
	}
	return sum
}

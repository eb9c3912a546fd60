package recording

import (
	"image/color"
	"io"
	"strings"

	"github.com/charmbracelet/x/vt"
)

// frame is the screen at a time.
type frame struct {
	at   float64
	rows []row
}

// row is a line of the screen: runs of one colour.
type row []run

type run struct {
	text   string
	colour color.Color // nil: that of the terminal
}

// width is the number of columns up to the last character.
func (r row) width() (n int) {
	for _, part := range r {
		n += len([]rune(part.text))
	}
	return n
}

func (r row) String() string {
	var b strings.Builder
	for _, part := range r {
		b.WriteString(part.text)
	}
	return b.String()
}

func (r row) equal(other row) bool {
	if len(r) != len(other) {
		return false
	}
	for i := range r {
		if r[i] != other[i] {
			return false
		}
	}
	return true
}

// frames plays a recording on a terminal, and gives what was on the screen after each event, without what was silence for
// too long. What is written at one time is seen at once.
func (c Cast) frames() []frame {
	screen := vt.NewEmulator(c.Width, c.Height)
	if pipe, ok := screen.InputPipe().(io.Closer); ok {
		defer pipe.Close()
	}
	var all []frame
	at, before := 0.0, 0.0
	for _, e := range c.Events {
		_, _ = screen.WriteString(e.Text) // a screen takes everything
		if n := len(all) - 1; n >= 0 && e.At == before {
			all = all[:n]
		}
		at += min(longest, e.At-before)
		before = e.At
		all = append(all, frame{at, rowsOf(screen)})
	}
	return all
}

func rowsOf(screen *vt.Emulator) []row {
	rows := make([]row, screen.Height())
	for y := range rows {
		rows[y] = rowOf(screen, y)
	}
	return rows
}

func rowOf(screen *vt.Emulator, y int) row {
	var r row
	for x := range screen.Width() {
		cell := screen.CellAt(x, y)
		if cell == nil || cell.Content == "" {
			continue // the second half of a wide one
		}
		if n := len(r) - 1; n >= 0 && r[n].colour == cell.Style.Fg {
			r[n].text += cell.Content
		} else {
			r = append(r, run{cell.Content, cell.Style.Fg})
		}
	}
	if n := len(r) - 1; n >= 0 {
		r[n].text = strings.TrimRight(r[n].text, " ")
		if r[n].text == "" {
			r = r[:n]
		}
	}
	return r
}

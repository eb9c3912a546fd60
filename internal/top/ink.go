package top

import (
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// ink is how something is drawn: in a colour, and, for those who see none, in a
// pattern of its own.
type ink struct {
	sgr  string
	full string // a cell of it
}

var (
	blueInk  = ink{"34", "█"}
	greenInk = ink{"32", "▒"}
	outside  = ink{"90", "░"} // of a generation that has lost its slot
	empty    = ink{"90", "·"}
	head     = ink{sgr: "1"}
	faint    = ink{sgr: "90"}
	alarm    = ink{sgr: "31;1"}
	reverse  = ink{sgr: "7"}
)

func inkOf(g api.GenerationRef) ink {
	switch g.Colour {
	case "blue":
		return blueInk
	case "green":
		return greenInk
	}
	return outside
}

// painter gives text in an ink, or the text alone where there is no colour.
type painter func(i ink, text string) string

func newPainter(colour bool) painter {
	return func(i ink, text string) string {
		if !colour || i.sgr == "" || text == "" {
			return text
		}
		return "\x1b[" + i.sgr + "m" + text + "\x1b[m"
	}
}

// bar is full for a part of its width.
func bar(i ink, part float64, width int, paint painter) string {
	n := min(width, max(0, int(part*float64(width)+0.5)))
	return paint(i, strings.Repeat(i.full, n)) + paint(empty, strings.Repeat(empty.full, width-n))
}

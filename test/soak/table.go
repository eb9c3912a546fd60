package soak

import (
	"fmt"
	"strings"
	"time"
)

// Table is the figures in Markdown.
func (f Figures) Table() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, fmt.Sprintf(format, args...))
	}
	b.WriteString("| | |\n| --- | ---: |\n")
	row("length", "%v", f.Took.Round(time.Second))
	row("flips whose old colour was seen empty", "%d", f.Tides)
	row("players", "%d", f.Players)
	row("sessions, half over TCP and half over UDP", "%d", f.Sessions)
	row("kill -9 of the daemon", "%d", f.Kills)
	row("reloads", "%d", f.Reloads)
	row("rollbacks", "%d", f.Back)
	row("broken players", "%d", f.Broken)
	row("sessions that began on the old colour after the flip", "%d", f.Misled)
	row("sessions still open when their colour was said to be drained", "%d", f.Early)
	row("the daemon, at the first of the last third", "%v", f.Begin)
	row("the daemon, at the end", "%v", f.End)
	return b.String()
}

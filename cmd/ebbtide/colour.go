package main

import "slices"

// colour says whether stdout gets any: a terminal that can, of somebody who
// has not said no (https://no-color.org).
func (e env) colour() bool { return e.terminal && e.wantsColour() }

func (e env) wantsColour() bool {
	return e.getenv("NO_COLOR") == "" && !slices.Contains([]string{"", "dumb"}, e.getenv("TERM"))
}

// paintError is paint for stderr.
func (e env) paintError(text string) string {
	if !e.errTerminal || !e.wantsColour() {
		return text
	}
	return paint(red, text)
}

// terminalEnv is what says how a terminal is spoken to.
func (e env) terminalEnv() []string {
	var out []string
	for _, name := range []string{"TERM", "COLORTERM", "NO_COLOR", "TERM_PROGRAM", "TMUX", "LANG", "LC_ALL", "LC_CTYPE"} {
		if value := e.getenv(name); value != "" {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// The colours of words that stand out.
const (
	red   = "31;1"
	green = "32"
)

// paint gives text in a colour, where stdout gets any.
func (e env) paint(sgr, text string) string {
	if !e.colour() || sgr == "" {
		return text
	}
	return paint(sgr, text)
}

func paint(sgr, text string) string { return "\x1b[" + sgr + "m" + text + "\x1b[m" }

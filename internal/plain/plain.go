// Package plain makes what came from the network fit to be shown: it ends up in terminals, logs and the journal.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Most is how many bytes of a text are shown at most.
const Most = 512

const more = "…" // there was

// Text is one line of printable text, of [Most] bytes at most: nothing in it moves a cursor, and no line of a log is forged
// with it. Of such a text it is the text itself.
func Text(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s[:min(len(s), 2*Most)]) // what is left of that is more than Most
	if len(s) <= Most {
		return s
	}
	end := Most - len(more)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// Error is err, if it can be shown as it is, or else one with its text made fit. What it wraps stays.
func Error(err error) error {
	if err == nil || Text(err.Error()) == err.Error() {
		return err
	}
	return &shown{err}
}

type shown struct{ error }

func (s *shown) Error() string { return Text(s.error.Error()) }

func (s *shown) Unwrap() error { return s.error }

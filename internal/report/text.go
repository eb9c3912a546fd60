// Package report tells people what was done: reports of releases, and which environment runs where. It reads the journal's
// events and what the controller counts, and knows no kernel.
package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// markdown writes any text so that Markdown shows it as it is, on one line: names, versions and reasons are others' words.
func markdown(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case strings.ContainsRune("\\`*_[]<>|&~$@", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(visible(r))
		}
	}
	return links.Replace(b.String())
}

// links are what some make a link of without being asked to.
var links = strings.NewReplacer("://", `\://`, "www.", `www\.`)

// visible stands in for what would begin a new line, or is not seen.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsPrint(r):
		return r
	}
	return unicode.ReplacementChar
}

// plain is for places that escape by themselves.
func plain(text string) string { return strings.Map(visible, text) }

// moment writes a time as all of ebbtide does.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// row writes a line of a table, whose cells are Markdown already.
func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func header(b *strings.Builder, cells ...string) {
	row(b, cells...)
	b.WriteString("|" + strings.Repeat(" --- |", len(cells)) + "\n")
}

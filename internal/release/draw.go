package release

import (
	"fmt"
	"strings"
)

// Diagram draws the table as a state diagram, for the docs.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	fmt.Fprintf(&b, "    [*] --> %s\n", node(Staged))
	seen := map[string]bool{}
	for _, w := range table {
		if in(w.on, Pause, Resume, Approve, HookFailed, ActFailed) || w.to == Paused {
			continue // from nearly everywhere: the table has them
		}
		for _, s := range w.from {
			label := ""
			if w.on != Goes {
				label = ": " + string(w.on)
			}
			line := fmt.Sprintf("    %s --> %s%s\n", node(s), node(w.to), label)
			if !in(s, Paused, Failed) && !seen[line] {
				seen[line] = true
				b.WriteString(line)
			}
		}
	}
	for _, s := range States() {
		if s.Over() {
			fmt.Fprintf(&b, "    %s --> [*]\n", node(s))
		}
	}
	return b.String()
}

// node is a state's name as diagrams take it.
func node(s State) string { return strings.ReplaceAll(string(s), "-", "_") }

// Table writes the table in words, for the docs.
func Table() string {
	var b strings.Builder
	b.WriteString("| from | to | when | strategies |\n| --- | --- | --- | --- |\n")
	for _, w := range table {
		var when []string
		if w.on != Goes {
			when = append(when, "`"+string(w.on)+"`")
		}
		if w.guard != nil {
			when = append(when, w.guard.words)
		}
		strategies := "all"
		if len(w.by) > 0 {
			strategies = joined(w.by)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", joined(w.from), w.to, strings.Join(when, ", and "), strategies)
	}
	return b.String()
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

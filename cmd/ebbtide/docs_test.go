package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const docsHead = `# The command line

<!-- Written from the commands' own help by: go test ./cmd/ebbtide -run TestCLIDocs -update -->

`

func TestCLIDocs(t *testing.T) {
	root := newRoot(env{getenv: func(string) string { return "" }})
	var b strings.Builder
	b.WriteString(docsHead)
	writeRoot(&b, root)
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			writeVerb(&b, cmd)
		}
	}
	mustMatch(t, "../../docs/cli.md", b.String())
}

func writeRoot(b *strings.Builder, root *cobra.Command) {
	text, _, _ := strings.Cut(root.Long, "Exit codes:")
	b.WriteString(text)
	b.WriteString("| verb | what it does |\n| --- | --- |\n")
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			fmt.Fprintf(b, "| [%s](#%s) | %s |\n", cmd.Name(), cmd.Name(), cmd.Short)
		}
	}
	b.WriteString("\nEvery verb has these flags:\n\n" + fenced(root.PersistentFlags().FlagUsages()))
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n")
	for code, meaning := range exitMeanings {
		fmt.Fprintf(b, "| %d | %s |\n", code, meaning)
	}
}

func writeVerb(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", cmd.Name(), strings.TrimSpace(cmd.Long))
	if cmd.Flags().HasAvailableFlags() || !cmd.HasAvailableSubCommands() {
		b.WriteString(fenced(cmd.UseLine() + "\n\n" + cmd.NonInheritedFlags().FlagUsages()))
		b.WriteString("\n" + fenced(cmd.Example))
		if cmd.HasAvailableSubCommands() {
			b.WriteString("\n")
		}
	}
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString("| verb | what it does |\n| --- | --- |\n")
	for _, sub := range cmd.Commands() {
		fmt.Fprintf(b, "| `%s` | %s |\n", sub.CommandPath(), sub.Short)
	}
}

func fenced(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return "```\n" + strings.Join(lines, "\n") + "\n```\n"
}

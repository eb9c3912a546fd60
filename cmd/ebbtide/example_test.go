package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// allVerbs are the verbs and the words below them.
func allVerbs(root *cobra.Command) (out []*cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			out = append(append(out, cmd), allVerbs(cmd)...)
		}
	}
	return out
}

func bareRoot() *cobra.Command { return newRoot(env{getenv: func(string) string { return "" }}) }

func TestEveryVerbHasHelpWithExamples(t *testing.T) {
	for _, cmd := range allVerbs(bareRoot()) {
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" && cmd.Parent().Name() != "completion" {
			t.Errorf("%s has no short or long help, or no examples", cmd.CommandPath())
		}
	}
}

// An example that its own verb would not take is worse than none.
func TestEveryExampleIsACommandLineThatItsVerbTakes(t *testing.T) {
	for _, cmd := range allVerbs(bareRoot()) {
		own := 0
		for line := range strings.Lines(cmd.Example) {
			for _, args := range commandLines(line) {
				found, err := takes(args)
				if err != nil {
					t.Errorf("%s: %q: %v", cmd.CommandPath(), strings.TrimSpace(line), err)
				}
				if strings.HasPrefix(found, cmd.CommandPath()) { // of it, or of a word below
					own++
				}
			}
		}
		if cmd.Example != "" && own == 0 {
			t.Errorf("%s: no example is of it", cmd.CommandPath())
		}
	}
}

// takes checks a command line as cobra does before it runs one, and says whose it is.
func takes(args []string) (verb string, err error) {
	cmd, rest, err := bareRoot().Find(args)
	if err != nil {
		return "", err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return "", err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return "", err
	}
	return cmd.CommandPath(), cmd.ValidateRequiredFlags()
}

// commandLines are the arguments of each ebbtide in a line of shell.
func commandLines(line string) (out [][]string) {
	for _, command := range shellCommands(line) {
		if at := slices.Index(command, "ebbtide"); at >= 0 && (at == 0 || command[at-1] == "sudo") {
			out = append(out, command[at+1:])
		}
	}
	return out
}

// shellCommands splits a line as a shell does, as far as examples go: quotes, and what ends a command.
func shellCommands(line string) (out [][]string) {
	var command []string
	word, begun, quote := "", false, rune(0)
	end := func() {
		if begun {
			command = append(command, word)
		}
		word, begun = "", false
	}
	for _, r := range strings.TrimSpace(line) {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ':
			end()
		case strings.ContainsRune("|&;()><#", r):
			end()
			out, command = append(out, command), nil
		default:
			word, begun = word+string(r), true
		}
	}
	end()
	return append(out, command)
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// man is for who makes packages.
func (c *cli) man() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual's pages",
		Long:    `Write the manual's pages, one a verb, into a directory.`,
		Example: `  ebbtide man /usr/local/share/man/man1`,
		Args:    cobra.ExactArgs(1),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, page := range append([]*cobra.Command{cmd.Root()}, cmd.Root().Commands()...) {
				if page.Hidden || page.Name() == "help" {
					continue
				}
				file := filepath.Join(args[0], pageName(page)+".1")
				if err := os.WriteFile(file, []byte(manPage(page)), 0o644); err != nil {
					return fmt.Errorf("write the page of %s: %w", page.CommandPath(), err)
				}
			}
			return nil
		},
	}
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage says what --help does, in man(7).
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	name := pageName(cmd)
	fmt.Fprintf(&b, ".TH %s 1 \"\" ebbtide \"User Commands\"\n.SH NAME\n%s \\- %s\n", roff(strings.ToUpper(name)), roff(name), roff(cmd.Short))
	section := func(title, text string) {
		if text = strings.Trim(text, "\n"); text != "" {
			fmt.Fprintf(&b, ".SH %s\n.nf\n%s\n.fi\n", title, roff(text))
		}
	}
	section("SYNOPSIS", cmd.UseLine())
	section("DESCRIPTION", strings.TrimSpace(cmd.Long))
	section("VERBS", verbList(cmd))
	section("OPTIONS", visible(cmd.NonInheritedFlags()))
	section("OPTIONS OF EVERY VERB", visible(cmd.InheritedFlags()))
	section("EXAMPLES", cmd.Example)
	if cmd.HasParent() {
		section("EXIT STATUS", strings.TrimPrefix(exitCodesHelp(), "Exit codes:\n"))
		section("SEE ALSO", "ebbtide(1)")
	}
	return b.String()
}

func visible(flags *pflag.FlagSet) string {
	if !flags.HasAvailableFlags() {
		return ""
	}
	return flags.FlagUsages()
}

func verbList(cmd *cobra.Command) string {
	var b strings.Builder
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(&b, "%s\n    %s\n", sub.CommandPath(), sub.Short)
		}
	}
	return b.String()
}

// roff keeps text as it is: no line of it is a request, no letter of it an escape, and a dash can be searched for.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

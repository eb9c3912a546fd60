package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) testers() *cobra.Command {
	var reason api.Act
	cmd := &cobra.Command{
		Use:   "testers SERVICE [add|remove PREFIX...]",
		Short: "List and change who goes to the candidate",
		Long: `List the testers of SERVICE, or add or remove some. Testers are clients, named by address or prefix, whose new sessions
go to the candidate: what is staged on the idle colour and was never live. Sessions in progress stay where they are.
While nothing is staged, testers go where everybody goes.

The configuration file may name testers too (release.testers). A reload adds those and takes away what the file named
before and no longer does. What is added here stays until it is removed here, over reloads, restarts and reboots; a
tester that both name stays until both let go of it. All prefixes of one command are taken, or none.`,
		Example: `  ebbtide testers world
  ebbtide testers world add 198.51.100.0/24 2001:db8:7::/48
  ebbtide testers world remove 198.51.100.0/24`,
		Args: testersArgs, ValidArgsFunction: c.completeArgs(fixed("add", "remove")),
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &reason)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := api.TestersRequest{Act: reason, Service: args[0]}
		if len(args) > 1 {
			*map[string]*[]string{"add": &req.Add, "remove": &req.Remove}[args[1]] = args[2:]
		}
		res, err := c.client().Testers(cmd.Context(), req)
		if err == nil {
			err = c.show(*out, res, func(w io.Writer) { printTesters(w, res) })
		}
		if err != nil {
			return fmt.Errorf("testers %s: %w", args[0], err)
		}
		return nil
	}
	return cmd
}

func testersArgs(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("the service is missing")
	case len(args) == 1:
		return nil
	case args[1] != "add" && args[1] != "remove":
		return fmt.Errorf("%q: want add or remove", args[1])
	case len(args) == 2:
		return fmt.Errorf("%s: give an address or a prefix, or several", args[1])
	}
	return nil
}

func printTesters(w io.Writer, t api.Testers) {
	if t.Candidate == nil {
		fmt.Fprintf(w, "%s: nothing is staged: testers go where everybody goes\n", t.Service)
	} else {
		fmt.Fprintf(w, "%s: testers go to %s\n", t.Service, nameOf(*t.Candidate))
	}
	if len(t.Testers) == 0 {
		fmt.Fprintln(w, "no testers")
		return
	}
	fmt.Fprintln(w, "TESTER\tNAMED BY")
	for _, p := range t.Testers {
		fmt.Fprintf(w, "%s\t%s\n", p.Prefix, namedBy(p))
	}
}

func namedBy(t api.Tester) string {
	switch {
	case t.Operator && t.File:
		return "operator, file"
	case t.File:
		return "file"
	}
	return "operator"
}

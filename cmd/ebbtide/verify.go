package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) verify() *cobra.Command {
	var req api.ReleasesRequest
	cmd := &cobra.Command{
		Use:   "verify SERVICE",
		Short: "Say whether what is staged could be released now, and rolled back",
		Long: `Make the checks that stand before a flip of SERVICE, and change nothing: whether the candidate has usable backends in each
family, whether the generation that is live now could take everything back, what weight both have, and whether the flow
tables have room. Each says its figures. When one fails the exit code is 5.

Where 'ebbtide probenet' runs and the service has release.probes, each backend of the candidate is asked over the real
VIPs as a tester would, through the program, and what it answered is shown. A release does the same before it flips. What could
not be looked at is unknown, which fails nothing: the exit code is 0.`,
		Example: `  ebbtide verify world && ebbtide release world
  ebbtide verify world -o json | jq -e 'all(.checks[]; .unknown | not)'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		res, err := c.client().Verify(cmd.Context(), req)
		if err == nil {
			err = c.show(*out, res, func(w io.Writer) { printVerification(w, res) })
		}
		if err == nil && !res.OK {
			err = exitError{exitRefused, errors.New("a check fails: a release would not flip")}
		}
		if err != nil {
			return fmt.Errorf("verify %s: %w", req.Service, err)
		}
		return nil
	}
	return cmd
}

func printVerification(w io.Writer, v api.Verification) {
	fmt.Fprintf(w, "%s: from %s to %s\n", v.Service, nameOf(v.From), nameOf(v.To))
	for _, k := range v.Checks {
		word := "ok"
		switch {
		case !k.OK:
			word = "FAILS"
		case k.Unknown:
			word = "unknown"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", k.Name, word, k.Detail)
	}
}

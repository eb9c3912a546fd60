package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) rehearse() *cobra.Command {
	var req api.RehearseRequest
	cmd := &cobra.Command{
		Use:   "rehearse SERVICE",
		Short: "Go through a release without a player noticing",
		Long: `Go through a release of SERVICE on this host without any of its players noticing, and say what would have happened. It
takes about half a minute, and 'ebbtide probenet' has to run.

The checks of 'ebbtide verify' are made, and each backend of the candidate is asked over the real VIPs, by testers of the
daemon's own. What a release would do is listed with its hooks, none of which is run. Then a shadow of the service comes
into the kernel, with a VIP that no interface holds and with players and backends of the probe net: it is flipped under
sessions in progress, drained, those who are left are listed as a notice would, moved, the drain is proved, and it is
rolled back. The players' own sequence numbers judge who was broken, moved or told.

Nothing is left when it ends, nor when the daemon is killed in the middle: the next one takes the shadow out. When a step
goes wrong the exit code is 5.`,
		Example: `  ebbtide rehearse world && ebbtide release world
  ebbtide rehearse world -o json | jq '.steps[] | select(.ok | not)'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	reasonFlag(cmd, &req.Act)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		var last api.Rehearsal
		err := c.client().Rehearse(cmd.Context(), req, func(r api.Rehearsal) error {
			if *out == asTable {
				printRehearsal(c.stdout, r, len(last.Steps))
			}
			last = r
			return nil
		})
		if err == nil && *out != asTable {
			err = c.emit(*out, last)
		}
		switch {
		case err != nil:
		case !last.Done:
			err = errors.New("the daemon ended before the rehearsal did: its next start takes the shadow out")
		case !last.OK:
			err = exitError{exitRefused, errors.New("a step goes wrong: so would a release")}
		}
		if err != nil {
			return fmt.Errorf("rehearse %s: %w", req.Service, err)
		}
		return nil
	}
	return cmd
}

// printRehearsal prints the steps that are new.
func printRehearsal(w io.Writer, r api.Rehearsal, seen int) {
	if seen == 0 && len(r.Steps) > 0 {
		fmt.Fprintf(w, "%s: from %s to %s, strategy %s\n", r.Service, nameOf(r.From), nameOf(r.To), r.Strategy)
	}
	for _, s := range r.Steps[seen:] {
		word := "ok"
		switch {
		case !s.OK:
			word = "FAILS"
		case s.Unknown:
			word = "-"
		}
		fmt.Fprintf(w, "  %-7s %s: %s\n", word, s.Name, s.Detail)
	}
}

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) gates() *cobra.Command {
	var req api.GatesRequest
	cmd := &cobra.Command{
		Use:   "gates SERVICE",
		Short: "Say what the gates of a release say",
		Long: `Show the newest readings of the gates of SERVICE's release: while it is in a state in which they are watched, and
afterwards as they were last. Where the new sessions are compared with the old ones a line says which test that is, how
likely counts like these are where all is as the threshold allows (p), at which chance a reading fails (alpha), and how
likely it would be to see twice what the threshold allows with as many sessions (power).`,
		Example: `  ebbtide gates world
  ebbtide gates world -o json | jq -r '.gates[] | select(.verdict == "fail") | .detail'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		res, err := c.client().Gates(cmd.Context(), req)
		if err == nil {
			err = c.show(*out, res, func(w io.Writer) { printGates(w, res) })
		}
		if err != nil {
			return fmt.Errorf("gates %s: %w", req.Service, err)
		}
		return nil
	}
	return cmd
}

func printGates(w io.Writer, res api.Gates) {
	switch {
	case len(res.Gates) == 0:
		fmt.Fprintf(w, "%s has no gates\n", res.Service)
		return
	case res.Release == 0:
		fmt.Fprintf(w, "%s: no release has read its gates since the daemon started\n", res.Service)
	default:
		fmt.Fprintf(w, "%s: release %d\n", res.Service, res.Release)
	}
	fmt.Fprintln(w, "GATE\tVERDICT\tTHRESHOLD\tON FAIL\tWHAT IT SAYS")
	for _, g := range res.Gates {
		verdict := g.Verdict
		if g.Final {
			verdict += ", final"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", g.Gate, verdict, orDash(g.Threshold), orDash(g.OnFail), g.Detail)
		if g.Test != "" {
			fmt.Fprintf(w, "\t\t\t\t%s, alpha %.2g\n", g.Test, g.Alpha)
		}
	}
}

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) drops() *cobra.Command {
	var interval time.Duration
	var req api.DropsRequest
	cmd := &cobra.Command{
		Use:   "drops",
		Short: "Say what was dropped and why, how fast, and what to do",
		Long: `Say for each reason for which packets for a listener were dropped, and each event that is worth a look, how often it
was counted since the program was loaded, how often a second now, what it means and what to do about it. The counts are
read twice, an interval apart: nothing reads them while nobody asks.`,
		Example: `  ebbtide drops
  ebbtide drops --interval 10s -o json | jq -r '.reasons[] | select(.rate_per_second > 0) | .reason'`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "take the rates over this long, such as 500ms or 10s")
	cmd.Flags().BoolVar(&req.All, "all", false, "list every reason: those never counted, and why packets were passed to the kernel, too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		req.IntervalSeconds = interval.Seconds()
		drops, err := c.client().Drops(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("drops: %w", err)
		}
		if *out == asTable && len(drops.Reasons) == 0 {
			fmt.Fprintln(c.stdout, "nothing was dropped")
			return nil
		}
		return c.show(*out, drops, func(w io.Writer) { printDrops(w, drops) })
	}
	return cmd
}

// printDrops gives each reason a line for what it means and one for what to do.
func printDrops(w io.Writer, d api.Drops) {
	fmt.Fprintln(w, "REASON\tCOUNT\tPER SECOND\tMEANING, AND WHAT TO DO")
	for _, r := range d.Reasons {
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%s\n\t\t\t-> %s\n", r.Reason, r.Count, r.RatePerSecond, r.Meaning, r.Advice)
	}
}

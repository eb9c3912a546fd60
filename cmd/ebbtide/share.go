package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) share() *cobra.Command {
	var req api.ShareRequest
	cmd := &cobra.Command{
		Use:   "share SERVICE [PERCENT]",
		Short: "Send a share of the clients to the candidate",
		Long: `Send a share of SERVICE's clients, 0% to 100% in steps of 0.01%, to the candidate: what is staged on the idle colour and
was never live. It concerns new sessions only. Without PERCENT it says how things stand.

A hash of the client's address decides who is in the share, and is the same on every host for the whole release. So a
larger share takes everybody of a smaller one along, and a client that comes back comes to the same side. A smaller
share lets nobody new in; whoever is there stays until his session ends. 0% ends the canary. A flip ends it too: then
the candidate is live. A new version on the idle colour begins at 0%.

It prints which part of the new sessions since the share was last set the candidate got, by the kernel's counts. Clients
open more or fewer sessions each, and testers count as well: with few sessions that part is a rough figure. A share for
a candidate without a usable backend is refused unless forced.`,
		Example: `  ebbtide share world 5%
  ebbtide share world
  ebbtide share world 0%`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	cmd.Flags().BoolVar(&req.Force, "force", false, "give a share to a candidate without a usable backend, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := c.runShare(cmd.Context(), args, req, *out)
		if err != nil {
			return fmt.Errorf("share %s: %w", args[0], err)
		}
		return nil
	}
	return cmd
}

func (c *cli) runShare(ctx context.Context, args []string, req api.ShareRequest, f format) error {
	req.Service = args[0]
	if len(args) > 1 {
		share, err := parseShare(args[1])
		if err != nil {
			return exitError{exitUsage, err}
		}
		req.TenThousandths = &share
	}
	res, err := c.client().Share(ctx, req)
	if err != nil {
		return err
	}
	return c.show(f, res, func(w io.Writer) { printShare(w, res) })
}

// parseShare wants the percent sign: 0.5 alone could be a half.
func parseShare(text string) (uint16, error) {
	number, percent := strings.CutSuffix(text, "%")
	p, err := strconv.ParseFloat(number, 64)
	parts := math.Round(p * 100)
	if err != nil || !percent || !(p >= 0 && p <= 100) || math.Abs(parts-p*100) > 1e-6 {
		return 0, fmt.Errorf("share %q: want 0%% to 100%% in steps of 0.01%%, such as 5%% or 0.25%%", text)
	}
	return uint16(parts), nil
}

func printShare(w io.Writer, s api.Share) {
	fmt.Fprintf(w, "%s: new sessions of %s of the clients go to %s\n", s.Service, api.Percent(s.TenThousandths), nameOf(s.Candidate))
	fmt.Fprintf(w, "  all others:\t%s\n", nameOf(s.Live))
	fmt.Fprintf(w, "  testers, who go to the candidate:\t%d\n", s.Testers)
	if s.Since == nil {
		return
	}
	fmt.Fprintf(w, "  share last set:\t%s\n", s.Since.UTC().Format(time.RFC3339))
	fmt.Fprintf(w, "  new sessions on the candidate since:\t%d\n", s.NewOnCandidate)
	fmt.Fprintf(w, "  new sessions on the live one since:\t%d\n", s.NewOnLive)
	fmt.Fprintf(w, "  part of the candidate:\t%s\n", realised(s.Canary))
}

// realised is empty while there was no new session.
func realised(c api.Canary) string {
	if c.Realised == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", *c.Realised)
}

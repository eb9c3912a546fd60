package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) evict() *cobra.Command {
	var every time.Duration
	var req api.EvictRequest
	cmd := &cobra.Command{
		Use:   "evict SERVICE --generation N",
		Short: "Move sessions of a generation to the live one, in batches",
		Long: `Move the sessions that a generation of SERVICE has now to the live generation, those of all clients or of one address or
prefix. It marks them, at most --batch at once and a batch each --every, and never more than there were when it began.

A marked session leaves its backend with its next packet. UDP goes to the live generation at once. TCP is cut: the
server gets a RST, so that it stops sending, then the client gets one, and connects anew to the live generation. A
session that stays silent is marked and stays where it is, counted as evicting, until it sends or its timeout ends it;
until then its generation is not drained. Nobody else is touched. Flows that are closing are left to end.
With affinity client a session is a client's, and all his flows are marked with it.

It prints what it has found and marked, the sessions that the generation has lost by it, and those that are marked and
silent. It ends an interval after the last batch, or when it is interrupted: what is marked by then moves. The live
generation is refused unless forced, and so is a candidate that has a share of the clients: both get their clients back.`,
		Example: `  ebbtide evict world --generation 7
  ebbtide evict world --generation 7 --client 198.51.100.7
  ebbtide evict world --generation 7 --batch 500 --every 10s && ebbtide drain world --wait`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	flags := cmd.Flags()
	flags.Uint32Var(&req.Generation, "generation", 0, "the generation that loses its sessions")
	flags.StringVar(&req.Client, "client", "", "only sessions of this address or prefix")
	flags.Uint32Var(&req.Batch, "batch", 50, "mark at most so many at once")
	flags.DurationVar(&every, "every", time.Second, "mark a batch at this interval, 100ms to 1h")
	flags.BoolVar(&req.Force, "force", false, "move sessions of what gets its clients back, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service, req.EverySeconds = args[0], every.Seconds()
		if err := c.runEvict(cmd.Context(), req, *out); err != nil {
			return fmt.Errorf("evict %s: %w", req.Service, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) runEvict(ctx context.Context, req api.EvictRequest, f format) error {
	if req.Generation == 0 {
		return exitError{exitUsage, errors.New("--generation is missing: ebbtide status lists them")}
	}
	var last api.EvictProgress
	err := c.client().Evict(ctx, req, func(p api.EvictProgress) error {
		last = p
		if f != asTable {
			return c.emit(f, p)
		}
		_, err := fmt.Fprintln(c.stdout, evictLine(p))
		return err
	})
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d of %d: those move with their next packet", last.Marked, last.Found)
	case err == nil && !last.Done:
		return errors.New("the daemon ended before the eviction")
	}
	return err
}

func evictLine(p api.EvictProgress) string {
	if p.Found == 0 {
		return fmt.Sprintf("%s: %s: no session to move", p.Service, nameOf(p.Generation))
	}
	return fmt.Sprintf("%s: %s: marked %d of %d, %d moved, %d evicting", p.Service, nameOf(p.Generation), p.Marked, p.Found, p.Moved, p.Evicting)
}

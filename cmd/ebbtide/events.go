package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) events() *cobra.Command {
	var req api.EventsRequest
	var follow bool
	var after uint64
	cmd := &cobra.Command{
		Use:   "events --follow",
		Short: "Follow what happens, as it happens",
		Long: `Follow what happens to all services, or to the one of --service: what the journal gets, and where drains stand.
Without --follow it prints what there is and ends. With -o json each is a line of its own, an object with the key
journal or drain.

A journal event has a number. --after begins behind one: whoever was away goes on where he was. Where drains stood
meanwhile is not told, only where they stand. A program gets the same from the socket as server-sent events, with
GET /v1/events; GET /v1/openapi.json describes it.`,
		Example: `  ebbtide events --follow
  ebbtide events --follow --service world --after 120 -o json
  curl -sN --unix-socket /run/ebbtide/ebbtide.sock http://ebbtide/v1/events`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&follow, "follow", false, "stay, and print what happens from now on, until it is interrupted")
	flags.StringVar(&req.Service, "service", "", "only of this service")
	flags.Uint64Var(&after, "after", 0, "begin behind the journal event of this number (default with --follow: the newest)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		req.Once = !follow
		if req.Once || cmd.Flags().Changed("after") {
			req.After = &after
		}
		if err := c.printEvents(cmd.Context(), req, *out); err != nil && !followedToTheEnd(cmd.Context(), follow) {
			return fmt.Errorf("events: %w", err)
		}
		return nil
	}
	return cmd
}

// followedToTheEnd says whether somebody who followed has seen enough: there is no other end than to interrupt it.
func followedToTheEnd(ctx context.Context, follow bool) bool { return follow && ctx.Err() != nil }

// printEvents prints each as it comes: columns in line would have to wait.
func (c *cli) printEvents(ctx context.Context, req api.EventsRequest, f format) error {
	return c.client().Events(ctx, req, func(e api.Event) error {
		switch {
		case f != asTable:
			return c.emit(f, e)
		case e.Journal != nil:
			return printEvent(c.stdout, *e.Journal, "  ")
		case e.Drain != nil:
			now := c.now()
			_, err := fmt.Fprintf(c.stdout, "-  %s  %s\n", now.UTC().Format(time.RFC3339), progressLine(*e.Drain, now))
			return err
		}
		return nil
	})
}

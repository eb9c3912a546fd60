package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

func (c *cli) history() *cobra.Command {
	var req api.HistoryRequest
	cmd := &cobra.Command{
		Use:   "history [SERVICE]",
		Short: "Say what was done, when, by whom and why",
		Long: `Say what was done to all services or to SERVICE: who did it, when, and the reason that was given for it, from the journal
in the state directory. An act has a line when it begins, on disk before anything is changed, and one for what came of
it. A drain that ended has one, written by the daemon with the evidence. With -o json each event is a line of its own,
with what was before and after.`,
		Example: `  ebbtide history world
  ebbtide history --act flip --last 0 -o json | jq -r '.time + " " + .actor.user'
  ebbtide history --follow`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&req.Act, "act", "", "only this act, such as flip or drained")
	flags.Uint32Var(&req.Last, "last", 20, "how many of the newest events, 0 for all")
	flags.BoolVar(&req.Follow, "follow", false, "stay, and print what happens from now on, until it is interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			req.Service = args[0]
		}
		if err := c.printHistory(cmd.Context(), req, *out); err != nil && !followedToTheEnd(cmd.Context(), req.Follow) {
			return fmt.Errorf("history: %w", err)
		}
		return nil
	}
	return cmd
}

func (c *cli) printHistory(ctx context.Context, req api.HistoryRequest, f format) error {
	if f == asTable && req.Follow { // a line at a time: columns in line would have to wait
		return c.client().History(ctx, req, func(e journal.Event) error { return printEvent(c.stdout, e, "  ") })
	}
	if f != asTable {
		return c.client().History(ctx, req, func(e journal.Event) error { return c.emit(f, e) })
	}
	w := newTable(c.stdout)
	fmt.Fprintln(w, "NUMBER\tTIME\tACTOR\tSERVICE\tACT\tSTAGE\tREASON")
	n := 0
	err := c.client().History(ctx, req, func(e journal.Event) error {
		n++
		return printEvent(w, e, "\t")
	})
	if err != nil {
		return err
	}
	if n == 0 {
		_, err := fmt.Fprintln(c.stdout, "nothing of that kind was ever done")
		return err
	}
	return w.Flush()
}

func printEvent(w io.Writer, e journal.Event, between string) error {
	stage := string(e.Stage)
	if e.Of != 0 {
		stage = fmt.Sprintf("%s (%d)", e.Stage, e.Of)
	}
	columns := []string{
		fmt.Sprint(e.Seq), e.Time.UTC().Format(time.RFC3339), e.Actor.String(), orDash(e.Service), e.Act, stage, orDash(e.Reason),
	}
	for i, text := range columns {
		end := between
		if i == len(columns)-1 {
			end = "\n"
		}
		if _, err := io.WriteString(w, text+end); err != nil {
			return err
		}
	}
	return nil
}

// reasonFlag gives cmd its --reason and its --key.
func reasonFlag(cmd *cobra.Command, act *api.Act) {
	cmd.Flags().StringVar(&act.Reason, "reason", "", "why, for the journal")
	cmd.Flags().StringVar(&act.Key, "key", "", "a name for this request: given again within 24 hours it gets the first answer, and nothing is done")
}

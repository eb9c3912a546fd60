package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) flip() *cobra.Command {
	var req api.FlipRequest
	var wait waiting
	var of subject
	var when later
	cmd := &cobra.Command{
		Use:   "flip SERVICE | --group GROUP",
		Short: "Send new sessions to the other colour",
		Long: `Send new sessions of SERVICE to the other colour. Sessions in progress stay where they are.

It prints the proof, read back from the kernel after every packet that could have seen the old value has left the
program: the new sessions on the old generation since (0), those reopened there, and the sessions left there. With --to
the colour is named; when that is live already, there is nothing to do and the exit code is 0. A flip to a pool without
a usable backend is refused unless forced; so is one to a pool that has too little room for the sessions that will come,
where its backends tell how much or have a capacity in the file, and one while the flow table is so full of established
flows that pins could be refused. The refusal has the figures.

With --group all services that the configuration has put together are flipped, or none: whatever is refused for one is
refused for all, and the stores are made one right after the other, with one barrier; it prints how far apart they were.
One of them alone is refused, but for --alone.

With --wait it stays until the old generation is drained: on a terminal with a live line, elsewhere with a line at
intervals. --timeout ends the wait, not the drain. With -o json each result is a line of its own: the flip, then the
progress of the drain.

With --at it is done at that time, by the daemon: see 'ebbtide schedule'. Where it goes is settled now.`,
		Example: `  ebbtide flip world
  ebbtide flip world --to green --wait --timeout 2h
  ebbtide flip world -o json | jq .new_on_old
  ebbtide flip --group shard-1 --wait
  ebbtide flip world --at 14:00 --time-zone Europe/Berlin --reason "version 2.0"`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	wait.flags(cmd)
	changeFlags(cmd, &req.Act)
	of.flag(cmd)
	when.flags(cmd)
	aloneFlag(cmd, &req.Alone)
	cmd.Flags().StringVar(&req.To, "to", "", "the colour that shall be live: blue or green")
	cmd.Flags().BoolVar(&req.Force, "force", false, "flip to a pool without a usable backend or without room, too")
	_ = cmd.RegisterFlagCompletionFunc("to", c.offer(colours)) // fails for an unknown flag only
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := of.read(args)
		if err == nil {
			err = errors.Join(wait.check(cmd), when.check(cmd, wait))
		}
		req.Service = of.service
		group := api.GroupFlipRequest{Act: req.Act, Group: of.group, To: req.To, Force: req.Force}
		switch {
		case err != nil:
		case when.at != "" && of.group != "":
			err = c.scheduleAt(cmd.Context(), when, api.ScheduleRequest{Act: req.Act, FlipGroup: &group}, *out)
		case when.at != "":
			err = c.scheduleAt(cmd.Context(), when, api.ScheduleRequest{Act: req.Act, Flip: &req}, *out)
		case of.group != "":
			err = c.runGroupFlip(cmd.Context(), group, wait, *out)
		default:
			err = c.runFlip(cmd.Context(), req, wait, *out)
		}
		if err != nil {
			return fmt.Errorf("flip%s: %w", of, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) runFlip(ctx context.Context, req api.FlipRequest, wait waiting, f format) error {
	client := c.client()
	res, err := client.Flip(ctx, req)
	if err != nil {
		return err
	}
	if !wait.wait {
		return c.showFlip(f, res, c.show)
	}
	if err := c.showFlip(f, res, c.showOneOfMany); err != nil {
		return err
	}
	drain := api.DrainRequest{Service: res.Service}
	if res.Old != nil {
		drain.Generation = res.Old.Number
	}
	return c.await(ctx, client, drain, wait.timeout, f)
}

type shower func(f format, v any, table func(io.Writer)) error

// showOneOfMany is show for what more will follow.
func (c *cli) showOneOfMany(f format, v any, table func(io.Writer)) error {
	if f == asTable {
		return c.show(f, v, table)
	}
	return c.emit(f, v)
}

// showFlip prints the proof. That it proves the contrary is an error.
func (c *cli) showFlip(f format, res api.FlipResult, show shower) error {
	if err := show(f, res, func(w io.Writer) { printFlip(w, res) }); err != nil {
		return err
	}
	if res.NewOnOld > 0 {
		return fmt.Errorf("the kernel pinned %d new sessions to the old generation after the barrier", res.NewOnOld)
	}
	return nil
}

func printFlip(w io.Writer, res api.FlipResult) {
	if !res.Changed {
		fmt.Fprintf(w, "%s: %s is live already, nothing to do\n", res.Service, nameOf(res.Live))
		return
	}
	fmt.Fprintf(w, "%s: %s is live\n", res.Service, nameOf(res.Live))
	if res.Old == nil {
		return
	}
	fmt.Fprintf(w, "  before it:\t%s\n", nameOf(*res.Old))
	fmt.Fprintf(w, "  new sessions there since:\t%d\n", res.NewOnOld)
	fmt.Fprintf(w, "  reopened there since:\t%d\n", res.ReopenedOnOld)
	fmt.Fprintf(w, "  sessions left there:\t%d\n", res.SessionsOnOld)
	fmt.Fprintf(w, "  barrier:\t%s\n", time.Duration(res.BarrierMicros)*time.Microsecond)
}

func nameOf(g api.GenerationRef) string { return g.Name() }

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
)

func (c *cli) flip() *cobra.Command {
	var req api.FlipRequest
	var wait waiting
	cmd := &cobra.Command{
		Use:   "flip SERVICE",
		Short: "Send new sessions to the other colour",
		Long: `Send new sessions of SERVICE to the other colour. Sessions in progress stay where they are.

It prints the proof, read back from the kernel after every packet that could have seen the old value has left the
program: the new sessions on the old generation since (0), those reopened there, and the sessions left there. With --to
the colour is named; when that is live already, there is nothing to do and the exit code is 0. A flip to a pool without
a usable backend is refused unless forced.

With --wait it stays until the old generation is drained: on a terminal with a live line, elsewhere with a line at
intervals. --timeout ends the wait, not the drain. With -o json each result is a line of its own: the flip, then the
progress of the drain.`,
		Example: `  ebbtide flip world
  ebbtide flip world --to green --wait --timeout 2h
  ebbtide flip world -o json | jq .new_on_old`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	wait.flags(cmd)
	cmd.Flags().StringVar(&req.To, "to", "", "the colour that shall be live: blue or green")
	cmd.Flags().BoolVar(&req.Force, "force", false, "flip to a pool without a usable backend, too")
	colours := cobra.FixedCompletions([]string{config.Blue.String(), config.Green.String()}, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("to", colours) // fails for an unknown flag only
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		err := wait.check(cmd)
		if err == nil {
			err = c.runFlip(cmd.Context(), req, wait, *out)
		}
		if err != nil {
			return fmt.Errorf("flip %s: %w", req.Service, err)
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

// nameOf gives a generation the way people name it.
func nameOf(g api.GenerationRef) string {
	if g.Colour == "" {
		return fmt.Sprintf("generation %d (version %s)", g.Number, g.Version)
	}
	return fmt.Sprintf("generation %d (%s, version %s)", g.Number, g.Colour, g.Version)
}

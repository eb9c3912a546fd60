package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) drain() *cobra.Command {
	var req api.DrainRequest
	var wait waiting
	var of subject
	cmd := &cobra.Command{
		Use:   "drain SERVICE --wait | --group GROUP --wait",
		Short: "Wait until what drains is drained",
		Long: `Wait until every generation of SERVICE that drains is drained, or the one of --generation; with --group, of all
services that the configuration has put together. When none drains, that is true already.

It shows what is left, the rate at which sessions leave, and when it will be empty: by how long this service's sessions
last and how old those are that are left, with the interval that has four chances in five; while no session has ended
yet, at the rate alone. When what is left no longer ends as its ages predict, it says stuck, and why that may be. It
shows this on a terminal as a live line, elsewhere as a line at intervals, with -o json as a line for each progress. Drained is proved by the kernel
and not guessed; where that can't be, the wait ends as inconclusive, with the reason and exit code 1. --timeout ends
the wait, not the drain.`,
		Example: `  ebbtide drain world --wait
  ebbtide drain world --wait --generation 3 --timeout 30m && systemctl stop world-old
  ebbtide drain --group shard-1 --wait`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	wait.flags(cmd)
	of.flag(cmd)
	cmd.Flags().Uint32Var(&req.Generation, "generation", 0, "the generation to wait for (0: all that drain)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := of.read(args)
		req.Service, req.Group = of.service, of.group
		if err == nil {
			err = wait.check(cmd)
		}
		if err == nil && !wait.wait {
			err = exitError{exitUsage, errors.New("--wait is missing: a flip begins a drain, this verb waits for its end")}
		}
		if err == nil {
			err = c.await(cmd.Context(), c.client(), req, wait.timeout, *out)
		}
		if err != nil {
			return fmt.Errorf("drain%s: %w", of, err)
		}
		return nil
	}
	return cmd
}

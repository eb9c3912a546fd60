package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) occupancy() *cobra.Command {
	var req api.OccupancyRequest
	var free uint64
	cmd := &cobra.Command{
		Use:   "occupancy SERVICE BACKEND",
		Short: "Say how many players a backend holds, and how many more it takes",
		Long: `Say how many players BACKEND of SERVICE holds, and how many more it takes, where the configuration has
'occupancy: {external: true}'. BACKEND is an address of it. With --free 0 it is full: it gets no new sessions, and keeps
those that it has, until it is said otherwise, or until three times 'every' of the configuration have passed without a word.

'ebbtide status' shows what was said beside the sessions that the kernel counts.`,
		Example:           `  ebbtide occupancy world 10.0.1.11 --players 180 --free 20`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: c.completeArgs(backends),
	}
	out := outputFlag(cmd)
	cmd.Flags().Uint64Var(&req.Players, "players", 0, "how many players it holds")
	cmd.Flags().Uint64Var(&free, "free", 0, "how many more it takes; without, it is never full")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("players") {
			return exitError{exitUsage, errors.New("--players is missing: how many does the backend hold?")}
		}
		req.Service, req.Backend = args[0], args[1]
		if cmd.Flags().Changed("free") {
			req.Free = &free
		}
		said, err := c.client().Occupancy(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("occupancy of %s: %w", req.Service, err)
		}
		return c.show(*out, said, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s holds %s players, %d by the kernel's count, %s\n",
				req.Service, req.Backend, numberOrDash(said.Players), said.Sessions, takesMore(said.Free))
		})
	}
	return cmd
}

func takesMore(free *uint64) string {
	switch {
	case free == nil:
		return "and does not say how many more it takes"
	case *free == 0:
		return "and is full"
	}
	return fmt.Sprintf("and takes %d more", *free)
}

// printOccupancy prints nothing where backends tell nothing.
func printOccupancy(w io.Writer, s api.Status) {
	header := "\nSERVICE\tGENERATION\tBACKEND\tPLAYERS\tFREE\tSESSIONS\tDIFFERENCE\tAT\tPROBLEM\n"
	for _, service := range s.Services {
		for _, g := range service.Generations {
			for _, b := range g.Backends {
				o := b.Occupancy
				if o == nil {
					continue
				}
				at, problem, difference := "-", o.Error, "-"
				if o.At != nil {
					at = o.At.UTC().Format(time.RFC3339)
				}
				if o.Full != "" {
					problem = "full: " + o.Full
				}
				if o.Difference != nil {
					difference = fmt.Sprintf("%+d", *o.Difference)
				}
				fmt.Fprintf(w, "%s%s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", header, service.Name, g.Number, strings.Join(b.Addresses, ","),
					numberOrDash(o.Players), numberOrDash(o.Free), o.Sessions, difference, at, orDash(problem))
				header = ""
			}
		}
	}
}

func numberOrDash(n *uint64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) health() *cobra.Command {
	var req api.HealthRequest
	cmd := &cobra.Command{
		Use:   "health SERVICE BACKEND up|down",
		Short: "Say that a backend is well or sick",
		Long: `Say that a backend of SERVICE is well or sick, where the configuration leaves that to others (health: {external: true}).
A sick backend gets no new sessions and keeps those that it has. BACKEND is its address. 'ebbtide status -o json' shows what
each backend's checks say.`,
		Example: `  ebbtide health world 10.0.0.11 down --reason "disk is failing"
  ebbtide health world 10.0.0.11 up`,
		Args:              cobra.ExactArgs(3),
		ValidArgsFunction: c.completeArgs(backends, fixed("up", "down")),
	}
	out := outputFlag(cmd)
	reasonFlag(cmd, &req.Act)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service, req.Backend, req.Well = args[0], args[1], args[2] == "up"
		if args[2] != "up" && args[2] != "down" {
			return exitError{exitUsage, errors.New("health: want up or down")}
		}
		health, err := c.client().Health(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("health %s: %w", req.Service, err)
		}
		return c.show(*out, health, func(w io.Writer) { fmt.Fprintf(w, "%s: %s is %s\n", req.Service, req.Backend, args[2]) })
	}
	return cmd
}

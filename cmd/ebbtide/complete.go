package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// completeTimeout keeps a shell from hanging on a daemon that does.
const completeTimeout = time.Second

// completeService offers the names of the daemon's services for the first
// argument. Without a daemon it offers none.
func (c *cli) completeService(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	status, err := c.client().Status(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, len(status.Services))
	for i, s := range status.Services {
		names[i] = s.Name
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

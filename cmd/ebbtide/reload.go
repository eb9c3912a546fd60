package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) reload() *cobra.Command {
	var req api.ReloadRequest
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Apply the configuration file",
		Long: `Apply the daemon's configuration file, whole or not at all, and say what changed. When nothing did, nothing is
written. No session in progress is cut: what is removed drains.`,
		Example: `  ebbtide plan && ebbtide reload`,
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		plan, err := c.client().Reload(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("reload: %w", err)
		}
		return c.showPlan(*out, plan, "no changes: nothing was written")
	}
	return cmd
}

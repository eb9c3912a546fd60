package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) rollback() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback SERVICE",
		Short: "Send new sessions back to the generation before",
		Long: `Make the generation live again that was so before the present one. It is a flip: sessions in progress stay where
they are, and it prints the same proof. A wait for the drain of that generation ends with exit code 4.`,
		Example: `  ebbtide rollback world
  ebbtide rollback world && ebbtide drain world --wait`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		res, err := c.client().Rollback(cmd.Context(), api.RollbackRequest{Service: args[0]})
		if err == nil {
			err = c.showFlip(*out, res, c.show)
		}
		if err != nil {
			return fmt.Errorf("rollback %s: %w", args[0], err)
		}
		return nil
	}
	return cmd
}

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) rollback() *cobra.Command {
	var req api.RollbackRequest
	var of subject
	cmd := &cobra.Command{
		Use:   "rollback SERVICE | --group GROUP",
		Short: "Send new sessions back to the generation before",
		Long: `Make the generation live again that was so before the present one. It is a flip: sessions in progress stay where
they are, and it prints the same proof. A wait for the drain of that generation ends with exit code 4.

With --group all services that the configuration has put together go back, or none; one of them alone is refused, but for
--alone. Of services that were released together a rollback of one is one of all. A freeze window keeps nobody from a rollback, a lock does.

Of a rolling or in-place release that is under way it is the way back, too: the backends, or the service, take new sessions
again. What is changed already stays changed.

A candidate that has a share of the clients is not live yet: 'ebbtide share SERVICE 0%' takes that back.`,
		Example: `  ebbtide rollback world
  ebbtide rollback world && ebbtide drain world --wait
  ebbtide rollback --group shard-1`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	of.flag(cmd)
	aloneFlag(cmd, &req.Alone)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := of.read(args)
		req.Service = of.service
		switch {
		case err != nil:
		case of.group != "":
			err = c.runGroupRollback(cmd.Context(), api.GroupRollbackRequest{Act: req.Act, Group: of.group}, *out)
		default:
			err = c.runRollback(cmd.Context(), req, *out)
		}
		if err != nil {
			return fmt.Errorf("rollback%s: %w", of, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) runRollback(ctx context.Context, req api.RollbackRequest, f format) error {
	res, err := c.client().Rollback(ctx, req)
	if err != nil {
		return err
	}
	return c.showFlip(f, res, c.show)
}

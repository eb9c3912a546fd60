package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

// subject is what a verb is about: a service, or a group of them.
type subject struct{ service, group string }

func (s *subject) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.group, "group", "", "all services of this group")
}

// read takes the service from the arguments.
func (s *subject) read(args []string) error {
	if len(args) > 0 {
		s.service = args[0]
	}
	if (s.service == "") == (s.group == "") {
		return exitError{exitUsage, errors.New("want SERVICE or --group GROUP")}
	}
	return nil
}

// String is what follows the verb in an error.
func (s subject) String() string {
	switch {
	case s.group != "":
		return " --group " + s.group
	case s.service != "":
		return " " + s.service
	}
	return ""
}

func aloneFlag(cmd *cobra.Command, alone *bool) {
	cmd.Flags().BoolVar(alone, "alone", false, "do it though the rest of the service's group stays where it is")
}

func (c *cli) runGroupFlip(ctx context.Context, req api.GroupFlipRequest, wait waiting, f format) error {
	client := c.client()
	res, err := client.FlipGroup(ctx, req)
	if err != nil {
		return err
	}
	if !wait.wait {
		return c.showGroupFlip(f, res, c.show)
	}
	if err := c.showGroupFlip(f, res, c.showOneOfMany); err != nil {
		return err
	}
	return c.await(ctx, client, api.DrainRequest{Group: req.Group}, wait.timeout, f)
}

func (c *cli) runGroupRollback(ctx context.Context, req api.GroupRollbackRequest, f format) error {
	res, err := c.client().RollbackGroup(ctx, req)
	if err != nil {
		return err
	}
	return c.showGroupFlip(f, res, c.show)
}

// showGroupFlip prints the proof of each service. That one proves the contrary is an error.
func (c *cli) showGroupFlip(f format, res api.GroupFlipResult, show shower) error {
	err := show(f, res, func(w io.Writer) {
		changed := 0
		for _, member := range res.Members {
			printFlip(w, member)
			if member.Changed {
				changed++
			}
		}
		if changed > 1 {
			fmt.Fprintf(w, "group %s: %d services, from the first store to the last %s\n", res.Group, changed, time.Duration(res.ApartNanos))
		}
	})
	if err != nil {
		return err
	}
	var broken []string
	for _, member := range res.Members {
		if member.NewOnOld > 0 {
			broken = append(broken, fmt.Sprintf("%d of %s", member.NewOnOld, member.Service))
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("the kernel pinned new sessions to old generations after the barrier: %s", strings.Join(broken, ", "))
	}
	return nil
}

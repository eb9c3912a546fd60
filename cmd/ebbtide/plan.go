package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) plan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Say what a reload, or a release, would change",
		Long: `Say what a reload would change, and change nothing. Without FILE it is about the daemon's own configuration file,
with FILE about that one, as if it were the daemon's.

With --release SERVICE it says what a release of that service would do instead, step by step, with what is known now: the
checks, the sessions, the gates and the hooks.`,
		Example: `  ebbtide plan
  ebbtide plan --release world
  ebbtide plan new.yaml && install -m 0644 new.yaml /etc/ebbtide/ebbtide.yaml && ebbtide reload`,
		Args: cobra.MaximumNArgs(1),
	}
	out := outputFlag(cmd)
	service := ""
	cmd.Flags().StringVar(&service, "release", "", "say what a release of this service would do")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if service != "" {
			return c.planRelease(cmd, service, args, *out)
		}
		req, err := planRequest(args)
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		plan, err := c.client().Plan(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		return c.showPlan(*out, plan, "no changes")
	}
	return cmd
}

func (c *cli) planRelease(cmd *cobra.Command, service string, files []string, f format) error {
	if len(files) > 0 {
		return exitError{exitUsage, fmt.Errorf("plan: %s: a release is of what is staged, and not of a file", files[0])}
	}
	plan, err := c.client().PlanRelease(cmd.Context(), api.ReleasesRequest{Service: service})
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return c.show(f, plan, func(w io.Writer) {
		fmt.Fprintf(w, "strategy %s\n", plan.Strategy)
		printVerification(w, plan.Verification)
		for i, step := range plan.Steps {
			fmt.Fprintf(w, "%d. %s\t%s\n", i+1, step.State, step.What)
			for _, hook := range step.Hooks {
				fmt.Fprintf(w, "\thook %s\n", hook)
			}
		}
	})
}

func planRequest(args []string) (api.PlanRequest, error) {
	if len(args) == 0 {
		return api.PlanRequest{}, nil
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return api.PlanRequest{}, err
	}
	if len(data) == 0 {
		return api.PlanRequest{}, fmt.Errorf("%s is empty", args[0])
	}
	return api.PlanRequest{Name: args[0], Config: data}, nil
}

// showPlan prints a line a change, or none.
func (c *cli) showPlan(f format, plan api.Plan, none string) error {
	return c.show(f, plan, func(w io.Writer) {
		if len(plan.Changes) == 0 {
			fmt.Fprintln(w, none)
			return
		}
		fmt.Fprintln(w, "SERVICE\tCHANGE")
		for _, change := range plan.Changes {
			fmt.Fprintf(w, "%s\t%s\n", orDash(change.Service), change.What)
		}
	})
}

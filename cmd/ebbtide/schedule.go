package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

// defaultGrace is how much later than asked for something scheduled is still done.
const defaultGrace = 5 * time.Minute

// later is the flags of a verb that can be done at a time.
type later struct {
	at, zone string
	grace    time.Duration
}

func (l *later) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.at, "at", "", "do it at this time: 14:00, \"2026-03-01 14:00\" or RFC 3339")
	cmd.Flags().StringVar(&l.zone, "time-zone", "", "of --at, such as Europe/Berlin (default UTC)")
	cmd.Flags().DurationVar(&l.grace, "grace", defaultGrace, "with --at: how much later it is still done, when nobody was there")
}

// check refuses flags that say nothing.
func (l *later) check(cmd *cobra.Command, wait waiting) error {
	for _, name := range []string{"time-zone", "grace"} {
		if l.at == "" && cmd.Flags().Changed(name) {
			return exitError{exitUsage, fmt.Errorf("--%s is about a time: give --at, too", name)}
		}
	}
	if l.at != "" && wait.wait {
		return exitError{exitUsage, errors.New("--at and --wait: nothing begins before that time; use ebbtide drain, or ebbtide release watch, then")}
	}
	return nil
}

// schedule asks for a request at the time of the flags.
func (c *cli) scheduleAt(ctx context.Context, l later, req api.ScheduleRequest, f format) error {
	req.At, req.TimeZone, req.GraceSeconds = l.at, l.zone, l.grace.Seconds()
	res, err := c.client().Schedule(ctx, req)
	if err != nil {
		return err
	}
	return c.show(f, res, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s at %s, in %s\n", subjectOf(res), res.What, res.At.UTC().Format(time.RFC3339), res.At.Sub(c.now()).Round(time.Second))
		fmt.Fprintf(w, "  number:\t%d\n", res.Number)
	})
}

func subjectOf(s api.Scheduled) string {
	if s.Group != "" {
		return "group " + s.Group
	}
	return s.Service
}

func (c *cli) schedule() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule [SERVICE]",
		Short: "List what shall be done later, and take it back",
		Long: `List what shall be done later, of all services or of SERVICE, and what became of the last acts that were scheduled. An act
is scheduled by the verb itself: 'ebbtide flip world --at 14:00 --time-zone Europe/Berlin', or 'ebbtide release world --at …'.

It is kept in the state directory, and so survives a restart. When its time comes it is done as if its maker typed it
then: a lock, a freeze window or a pool without a usable backend refuses it, which is told here and by 'ebbtide history'.
It goes to the generation that it would have gone to when it was made: when that is live by then there is nothing to do,
and when it is in no pool any more it fails. What could not be done in time, because no daemon ran or the clock was set, is
still done within its grace, and is missed after that.

'ebbtide schedule cancel' takes back one by its number, or all of a service.`,
		Example: `  ebbtide schedule
  ebbtide schedule cancel 7 --reason "the cup final is on"
  ebbtide schedule cancel world`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var req api.SchedulesRequest
		if len(args) > 0 {
			req.Service = args[0]
		}
		res, err := c.client().Schedules(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("schedule: %w", err)
		}
		return c.show(*out, res, func(w io.Writer) {
			if len(res.Scheduled) == 0 {
				fmt.Fprintln(w, "nothing is scheduled")
				return
			}
			printScheduled(w, res.Scheduled)
		})
	}
	cmd.AddCommand(c.scheduleCancel())
	return cmd
}

func (c *cli) scheduleCancel() *cobra.Command {
	var req api.UnscheduleRequest
	cmd := &cobra.Command{
		Use:               "cancel NUMBER | SERVICE",
		Short:             "Take back what is scheduled",
		Long:              `Take back what is scheduled under a number, or all that is of a service.`,
		Example:           `  ebbtide schedule cancel 7 --reason "the cup final is on"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	reasonFlag(cmd, &req.Act)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		if n, err := strconv.ParseUint(args[0], 10, 64); err == nil {
			req.Number, req.Service = n, ""
		}
		res, err := c.client().Unschedule(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("schedule cancel %s: %w", args[0], err)
		}
		return c.show(*out, res, func(w io.Writer) {
			for _, s := range res.Scheduled {
				fmt.Fprintf(w, "%s: number %d, %s at %s, is taken back\n", subjectOf(s), s.Number, s.What, s.At.UTC().Format(time.RFC3339))
			}
		})
	}
	return cmd
}

func printScheduled(w io.Writer, list []api.Scheduled) {
	fmt.Fprintln(w, "NUMBER\tSCHEDULED FOR\tOF\tWHAT\tBY\tREASON\tSTATE")
	for _, s := range list {
		state := s.State
		if s.Detail != "" {
			state += ": " + s.Detail
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Number, s.At.UTC().Format(time.RFC3339), subjectOf(s), s.What, s.By, orDash(s.Reason), state)
	}
}

// printSchedule prints nothing where nothing is scheduled.
func printSchedule(w io.Writer, s api.Status) {
	if len(s.Schedule) > 0 {
		fmt.Fprintln(w)
		printScheduled(w, s.Schedule)
	}
}

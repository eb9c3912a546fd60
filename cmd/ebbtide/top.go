package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/top"
)

// minInterval keeps a screen from asking the daemon more often than anybody sees.
const minInterval = 100 * time.Millisecond

func (c *cli) top() *cobra.Command {
	var interval time.Duration
	times := 0
	cmd := &cobra.Command{
		Use:   "top [SERVICE]",
		Short: "Watch the tide in the terminal, with keys for the verbs",
		Long: `Watch a service in the terminal: its sessions by generation since it was called, rates, what drains and when that will be
empty, its release, and what happened to it. tab shows the next service.

A key is a verb: flip, rollback, release, pause, resume, abort, evict, close and open. Each says first what it will do to
how many sessions, and does it when the answer is y. When somebody else has changed meanwhile what is live, it is not
done. Colour is left out where NO_COLOR is set.

Where the output is no terminal, or TERM is dumb, it prints a line a service at each interval, until it is interrupted or
--times of them are printed. Sessions are counted by the daemon's sweeps.`,
		Example: `  ebbtide top
  ebbtide top world --interval 5s
  ebbtide top world --times 1 | cat`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "look at this interval, 100ms or more")
	cmd.Flags().IntVar(&times, "times", 0, "print lines, and end after so many looks (0: until it is interrupted)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		service := strings.Join(args, "")
		err := c.runTop(cmd, service, interval, times)
		if err != nil {
			return fmt.Errorf("top: %w", err)
		}
		return nil
	}
	return cmd
}

func (c *cli) runTop(cmd *cobra.Command, service string, interval time.Duration, times int) error {
	switch {
	case interval < minInterval:
		return exitError{exitUsage, fmt.Errorf("--interval %s: want %s or more", interval, minInterval)}
	case times < 0:
		return exitError{exitUsage, fmt.Errorf("--times %d: want 0 or more", times)}
	}
	client := c.client()
	defer client.Close()
	status, err := client.Status(cmd.Context())
	if err != nil {
		return err
	}
	if service != "" {
		if err := knows(status, service); err != nil {
			return err
		}
	}
	opt := c.topOptions(service, interval)
	if !c.terminal || c.getenv("TERM") == "dumb" || times > 0 {
		return top.Lines(cmd.Context(), client, opt, times)
	}
	return top.Run(cmd.Context(), client, opt)
}

func (c *cli) topOptions(service string, interval time.Duration) top.Options {
	return top.Options{
		In: c.stdin, Out: c.stdout, Environ: c.terminalEnv(), Colour: c.colour(), Service: service,
		Interval: interval, Now: c.now, Outlook: estimate,
	}
}

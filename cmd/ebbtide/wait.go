package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

// waiting is the flags of a verb that can wait for a drain.
type waiting struct {
	wait    bool
	timeout time.Duration // 0: none
}

func (w *waiting) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "stay until drained")
	cmd.Flags().DurationVar(&w.timeout, "timeout", 0, "end the wait after this long, such as 90s or 2h (default none)")
}

func (w *waiting) check(cmd *cobra.Command) error {
	switch {
	case !cmd.Flags().Changed("timeout"):
		return nil
	case !w.wait:
		return exitError{exitUsage, errors.New("--timeout ends a wait: give --wait, too")}
	case w.timeout <= 0:
		return exitError{exitUsage, fmt.Errorf("--timeout %s: want more than 0", w.timeout)}
	}
	return nil
}

// await shows a drain until it is over, and gives nil only when it is drained.
func (c *cli) await(ctx context.Context, client api.Controller, req api.DrainRequest, timeout time.Duration, f format) error {
	limited := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	tide := newTide(c, f)
	err := client.WatchDrain(limited, req, tide.see)
	tide.end()
	switch {
	case err == nil:
		return tide.verdict()
	case ctx.Err() != nil:
		return errors.New("interrupted; the drain goes on")
	case limited.Err() != nil:
		if doubt := tide.doubt(); doubt != nil {
			return fmt.Errorf("%w; not drained after %s, the drain goes on", doubt, timeout)
		}
		return exitError{exitTimeout, fmt.Errorf("not drained after %s; the drain goes on", timeout)}
	}
	return err
}

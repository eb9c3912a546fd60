package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) detach() *cobra.Command {
	var bpfDir string
	var req api.DetachRequest
	cmd := &cobra.Command{
		Use:   "detach",
		Short: "Take everything out of the kernel",
		Long: `Take programs, links, maps and the VIPs' addresses out of the kernel, and leave nothing behind.

This cuts every session that goes through this host. A running daemon does it and ends; where none runs, this command
does it itself and needs root. The state file stays, so that the next start knows which generation is live.`,
		Example: `  ebbtide detach
  ebbtide detach --bpf-dir /sys/fs/bpf/test   # no daemon runs, and it had its pins there`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	reasonFlag(cmd, &req.Act)
	cmd.Flags().StringVar(&bpfDir, "bpf-dir", "", "where the pins are when no daemon runs (default: "+defaultBPFDir+" and "+unitBPFDir+")")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		by := "daemon"
		err := c.client().Detach(cmd.Context(), req)
		if errors.Is(err, api.ErrNoDaemon) {
			by = "command"
			err = c.detachAll(cmd.Context(), bpfDir)
		}
		if err != nil {
			return fmt.Errorf("detach: %w", err)
		}
		done := struct {
			Detached bool   `json:"detached"`
			By       string `json:"by"`
		}{true, by}
		return c.show(*out, done, func(w io.Writer) { fmt.Fprintf(w, "detached by the %s\n", by) })
	}
	return cmd
}

// detachAll takes out what is pinned in a directory; in none that was named: in those where daemons pin.
func (c *cli) detachAll(ctx context.Context, bpfDir string) error {
	if bpfDir != "" {
		return c.Detach(ctx, bpfDir)
	}
	return errors.Join(c.Detach(ctx, defaultBPFDir), c.Detach(ctx, unitBPFDir))
}

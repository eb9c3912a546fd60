package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const (
	defaultBPFDir  = "/sys/fs/bpf/ebbtide"
	defaultMetrics = "127.0.0.1:9595"
)

func (c *cli) daemon() *cobra.Command {
	var opts DaemonOptions
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Run the daemon",
		Long: `Run the daemon in the foreground, until SIGTERM or 'ebbtide detach'.

It adopts what is pinned in the kernel, applies the configuration file, and answers on the socket (mode 0660).
Stopping or killing it changes no packet: programs, maps and links stay pinned. Metrics are served on a loopback
address only, under /metrics.`,
		Example: `  ebbtide daemon
  ebbtide daemon --config ./ebbtide.yaml --socket-group games
  ebbtide daemon --metrics ""      # no metrics`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Socket = c.socket
			if err := c.Daemon(cmd.Context(), opts); err != nil {
				return fmt.Errorf("daemon: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Config, "config", "/etc/ebbtide/ebbtide.yaml", "the configuration file")
	flags.StringVar(&opts.StateDir, "state-dir", "/var/lib/ebbtide", "where what outlives a reboot is kept")
	flags.StringVar(&opts.BPFDir, "bpf-dir", defaultBPFDir, "where programs, maps and links are pinned, in a bpffs")
	flags.StringVar(&opts.SocketGroup, "socket-group", "", "group of the socket, by name or number")
	flags.StringVar(&opts.MetricsAddr, "metrics", defaultMetrics, "loopback address and port of the metrics")
	flags.BoolVar(&opts.ForceAttach, "force", false, "replace an XDP program that is not ours")
	return cmd
}

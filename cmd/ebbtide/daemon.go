package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

const (
	defaultBPFDir   = "/sys/fs/bpf/ebbtide"
	unitBPFDir      = "/run/bpf/ebbtide/plane" // of the packages' unit, whose daemon is not root
	defaultConfig   = "/etc/ebbtide/ebbtide.yaml"
	defaultStateDir = "/var/lib/ebbtide"
	defaultMetrics  = "127.0.0.1:9595"
)

func (c *cli) daemon() *cobra.Command {
	var opts DaemonOptions
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Run the daemon",
		Long: `Run the daemon in the foreground, until SIGTERM or 'ebbtide detach'.

It adopts what is pinned in the kernel, applies the configuration file, and answers on the socket (mode 0660).
Stopping or killing it changes no packet: programs, maps and links stay pinned. Metrics are served on a loopback
address only, under /metrics.

SIGHUP makes it apply its file, as 'ebbtide reload' does. Under systemd it says when it is ready and that it is alive
(Type=notify, WatchdogSec=), takes its socket from a socket unit when there is one, and logs to the journal with fields:
journalctl EBBTIDE_SERVICE=world.

Two files follow each change of a generation's place, by a second at most: --environment, for people, says what runs
where, since when, by whom and how to go back; --targets, for Prometheus' file_sd, has the address of each backend with
service, generation, colour, version, role (live, draining, candidate, stable or drained) and stable as labels.`,
		Example: `  ebbtide daemon
  ebbtide daemon --config ./ebbtide.yaml --socket-group games
  ebbtide daemon --metrics ""      # no metrics`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Socket = c.socket
			for name, path := range map[string]*string{"environment": &opts.Files.Environment, "targets": &opts.Files.Targets} {
				if !cmd.Flags().Changed(name) {
					*path = filepath.Join(opts.StateDir, filepath.Base(*path))
				}
			}
			if err := c.Daemon(cmd.Context(), opts); err != nil {
				return fmt.Errorf("daemon: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Config, "config", defaultConfig, "the configuration file")
	flags.StringVar(&opts.StateDir, "state-dir", defaultStateDir, "where what outlives a reboot is kept")
	flags.StringVar(&opts.BPFDir, "bpf-dir", defaultBPFDir, "where programs, maps and links are pinned, in a bpffs")
	flags.StringVar(&opts.SocketGroup, "socket-group", "", "group of the socket, by name or number")
	flags.StringVar(&opts.MetricsAddr, "metrics", defaultMetrics, "loopback address and port of the metrics")
	flags.StringVar(&opts.Files.Environment, "environment", "environment.md", "what runs where, in Markdown, in the state directory unless given; \"\" for none")
	flags.StringVar(&opts.Files.Targets, "targets", "targets.json", "the targets for Prometheus' file_sd, in the state directory unless given; \"\" for none")
	flags.Uint16Var(&opts.Files.TargetsPort, "targets-port", 0, "port of each target (0: its address alone)")
	flags.StringVar(&opts.ProbeSocket, "probe-socket", defaultProbeSocket, "where 'ebbtide probenet' answers, when it runs")
	flags.BoolVar(&opts.ForceAttach, "force", false, "replace an XDP program that is not ours")
	return cmd
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/doctor"
)

func (c *cli) doctor() *cobra.Command {
	var file, bpfDir string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this host is fit for ebbtide, and say what to do",
		Long: `Look at this host: kernel, BPF, bpffs, memory, and for each interface of the configuration its driver, queues, interrupts,
offloads and MTU. Backends of dsr services are asked over their link whether they hold the VIPs and answer no ARP for
them, as far as IPv4 tells; that takes a second. It changes nothing. Run it as root: other users see less.

Each check says ok, note (it works, and could be better), FAILS or unknown (not to be seen from here), and what to do.
The exit code is 0 when none fails, 1 when one does, 2 when the configuration is not sound.`,
		Example: `  ebbtide doctor
  ebbtide doctor --config new.yaml -o json | jq '.[] | select(.verdict == "FAILS")'`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.Flags().StringVar(&file, "config", defaultConfig, "the configuration file; where there is none, only the host is looked at")
	cmd.Flags().StringVar(&bpfDir, "bpf-dir", unitBPFDir, "where the daemon will pin")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(file)
		if errors.Is(err, fs.ErrNotExist) && !cmd.Flags().Changed("config") {
			fmt.Fprintf(c.stderr, "ebbtide: there is no %s: interfaces and backends are not looked at\n", file)
		} else if err != nil {
			return exitError{exitUsage, fmt.Errorf("doctor: %w", err)}
		}
		found := c.Examine(cmd.Context(), doctor.Host{Root: "/", BPFDir: bpfDir, Config: cfg})
		if err := c.show(*out, found, func(w io.Writer) { printFindings(w, found) }); err != nil {
			return err
		}
		if !doctor.Fit(found) {
			return errors.New("doctor: this host is not fit: see what FAILS")
		}
		return nil
	}
	return cmd
}

// examine is the doctor's look at this host.
func examine(ctx context.Context, h doctor.Host) []doctor.Finding { return h.Examine(ctx) }

func printFindings(w io.Writer, found []doctor.Finding) {
	fmt.Fprintln(w, "CHECK\tON\tVERDICT\tDETAIL")
	for _, f := range found {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Check, orDash(f.On), f.Verdict, f.Detail)
		if f.Do != "" {
			fmt.Fprintf(w, "\t\t\t  do: %s\n", f.Do)
		}
	}
}

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show services, generations, backends and the flow table",
		Long: `Show what this host does: which generation of each service is live, which drain and what they have left, what a
candidate gets, where the players come in, the backends and their next hops, the interfaces, who holds each VIP, how full the flow table is, and
what was dropped, by reason; drops says more of that.

Sessions are those of the last sweep; all other counts are of this moment.`,
		Example: `  ebbtide status
  ebbtide status -o json | jq '.services[] | {name, live: .live.colour}'`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		status, err := c.client().Status(cmd.Context())
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		if *out != asTable {
			return c.show(*out, status, nil)
		}
		return c.printStatus(status)
	}
	return cmd
}

// printStatus prints a table a subject, each with columns of its own.
func (c *cli) printStatus(s api.Status) error {
	now := c.now()
	fmt.Fprintf(c.stdout, "ebbtide %s, program %s, up %s, revision %d of %s\n",
		s.Version, orDash(s.Build), now.Sub(s.StartedAt).Round(time.Second), s.Revision, s.ConfigFile)
	if s.Upgrade != "" {
		fmt.Fprintf(c.stdout, "upgrade: %s\n", s.Upgrade)
	}
	for _, service := range s.Services {
		if service.Problem != "" {
			fmt.Fprintf(c.stdout, "%s service %s: %s\n", c.paint(red, "problem:"), service.Name, service.Problem)
		}
	}
	for _, section := range []func(io.Writer, api.Status){
		printGenerations, printCanaries, printUnderWay, printLocks, printSchedule, printClosings, printListeners, printBackends, printOccupancy, printInterfaces, printVIPs, printTables, printReasons,
	} {
		w := newTable(c.stdout)
		section(w, s)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if s.LastSweep.IsZero() {
		fmt.Fprintln(c.stdout, "no sweep yet")
		return nil
	}
	fmt.Fprintf(c.stdout, "last sweep %s ago, took %s\n", now.Sub(s.LastSweep).Round(time.Second), seconds(s.SweepSeconds))
	return nil
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Microsecond)
}

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) closeService() *cobra.Command {
	var req api.CloseRequest
	cmd := &cobra.Command{
		Use:   "close SERVICE",
		Short: "Take no new sessions of a service: whoever begins one is told that it is busy",
		Long: `Take no new sessions of SERVICE: whoever begins one is told so at once. Sessions in progress stay, of a client that has
one all flows with it where the affinity is client. Testers (ebbtide testers) may come: to the candidate, or where there
is none to the live generation. 'ebbtide evict' ends what is left.

With --answer reset, TCP gets a RST and UDP ICMP "port unreachable", as from a host that has nothing there. With --answer
icmp both get ICMP "administratively prohibited".

It outlives restarts and reboots, until 'ebbtide open'.`,
		Example: `  ebbtide close world --reason "database maintenance"
  ebbtide drops --interval 10s
  ebbtide open world`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	cmd.Flags().StringVar(&req.Answer, "answer", api.AnswerReset, "what new sessions are told: reset or icmp")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		closed, err := c.client().CloseService(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("close %s: %w", req.Service, err)
		}
		return c.show(*out, closed, func(w io.Writer) { printClosed(w, closed) })
	}
	return cmd
}

func (c *cli) openService() *cobra.Command {
	var req api.OpenRequest
	cmd := &cobra.Command{
		Use:               "open SERVICE",
		Short:             "Take new sessions of a service again",
		Long:              `Take new sessions of SERVICE again, after 'ebbtide close'.`,
		Example:           `  ebbtide open world --reason "smoke tests passed"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		closed, err := c.client().OpenService(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("open %s: %w", req.Service, err)
		}
		return c.show(*out, closed, func(w io.Writer) { printClosed(w, closed) })
	}
	return cmd
}

func printClosed(w io.Writer, closed api.Closed) {
	if closed.Answer == "" {
		fmt.Fprintf(w, "%s: open: new sessions go to %s\n", closed.Service, nameOf(closed.Live))
		return
	}
	fmt.Fprintf(w, "%s: closed: new sessions are told so by %s\n", closed.Service, closed.Answer)
}

// printClosings prints nothing where all services are open.
func printClosings(w io.Writer, s api.Status) {
	header := "\nCLOSED\tANSWER\n"
	for _, service := range s.Services {
		if service.Closed != "" {
			fmt.Fprintf(w, "%s%s\t%s\n", header, service.Name, service.Closed)
			header = ""
		}
	}
}

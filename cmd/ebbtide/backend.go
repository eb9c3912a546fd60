package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/backend"
	"github.com/ebbtide/ebbtide/internal/config"
)

func (c *cli) backend() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "Make a host a backend",
		Long: `What is done on the backends, which need no ebbtide to run: the binary is copied there for this command, or what it prints
is.`,
		Example: `  ebbtide backend setup --mode dsr --vip 203.0.113.10`,
	}
	cmd.AddCommand(c.backendSetup())
	return cmd
}

func (c *cli) backendSetup() *cobra.Command {
	var mode string
	var vips []string
	var apply bool
	cmd := &cobra.Command{
		Use:   "setup --mode dsr|ipip --vip ADDRESS...",
		Short: "Print what a backend needs, or do it",
		Long: `Print the commands that make this host a backend of services with forwarding dsr or ipip; --apply does what they do, as
root. What is so already is left alone, so it can be run again. With forwarding nat there is nothing to set up but the
default route, which leads to the load balancer.

In both modes the host holds the VIPs on its loopback, and answers no ARP for them; in ipip it has tunnels that take the
outer header off. Settings last until a reboot: have a unit run the command with --apply at each start.`,
		Example: `  ebbtide backend setup --mode dsr --vip 203.0.113.10 --vip 2001:db8::10
  ebbtide backend setup --mode dsr --vip 203.0.113.10 | ssh root@10.0.0.11 sh
  ebbtide backend setup --mode ipip --vip 203.0.113.10 --apply`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.Flags().StringVar(&mode, "mode", "", "forwarding of the services: dsr or ipip")
	cmd.Flags().StringArrayVar(&vips, "vip", nil, "address that players use; may be given again")
	cmd.Flags().BoolVar(&apply, "apply", false, "do it")
	cmd.RunE = func(*cobra.Command, []string) error {
		addrs, err := backendVIPs(vips)
		if err != nil {
			return exitError{exitUsage, fmt.Errorf("backend setup: %w", err)}
		}
		steps, err := backend.Setup(config.Forwarding(mode), addrs)
		if err != nil {
			return exitError{exitUsage, fmt.Errorf("backend setup: %w", err)}
		}
		if apply {
			if err := c.ApplySetup(steps); err != nil {
				return fmt.Errorf("backend setup: %w", err)
			}
		}
		return c.show(*out, backend.Describe(steps), func(w io.Writer) {
			for _, s := range steps {
				fmt.Fprintf(w, "%s\n", s.Command)
			}
		})
	}
	return cmd
}

func backendVIPs(texts []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, text := range texts {
		vip, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("--vip %s is no address", text)
		}
		all = append(all, vip)
	}
	if len(all) == 0 {
		return nil, errors.New("name the addresses that players use: --vip")
	}
	return all, nil
}

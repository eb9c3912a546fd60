package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"
)

const defaultProbeSocket = "/run/ebbtide/probe.sock"

func (c *cli) probeNet() *cobra.Command {
	opts := ProbeOptions{Socket: defaultProbeSocket}
	var addresses []string
	cmd := &cobra.Command{
		Use:   "probenet --address ADDRESS [--address ADDRESS] [--interface INTERFACE]",
		Short: "Have clients of the daemon's own, for verify and rehearse",
		Long: `Have clients on this host whose packets come in from outside, for 'ebbtide verify' and 'ebbtide rehearse', until SIGTERM.
What the host itself sends to a VIP never meets the program.

They are in a network namespace of their own, with a veth pair to the host (ebbprobe), and come from --address, one a
family: addresses that nobody else has. A second pair (ebbshadow) leads to the backends of rehearsals. The daemon runs its
program on these links while it probes. Nothing else on the host is changed, and all of it goes with this process,
however that ends.

In dsr and ipip backends answer their clients directly: --interface is where the answers come in, and the addresses must be
free ones of its network, so that backends, or the last router before them, find them on the link. There a macvlan takes
them, so the link has to let a second MAC through. In nat no interface is needed, and the addresses must be such that
backends answer by way of this host.

It takes root, or CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF, which the daemon need not have.`,
		Example: `  ebbtide probenet --address 10.0.0.250 --address fd00::250 --interface eth0
  ebbtide probenet --address 192.0.2.1      # nat`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&addresses, "address", nil, "address that probes come from, at most one a family")
	flags.StringVar(&opts.Interface, "interface", "", "where the answers of dsr and ipip backends come in")
	flags.StringVar(&opts.Socket, "probe-socket", opts.Socket, "where the daemon asks")
	flags.StringVar(&opts.SocketGroup, "socket-group", "", "group of the socket, by name or number")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(addresses) == 0 {
			return exitError{exitUsage, errors.New("probenet: --address is missing: it says where probes come from")}
		}
		seen := map[bool]bool{} // by family
		for _, text := range addresses {
			a, err := netip.ParseAddr(text)
			if err != nil || a.Zone() != "" || a.Is4In6() || seen[a.Is4()] {
				return exitError{exitUsage, fmt.Errorf("--address %s: want one address a family", text)}
			}
			seen[a.Is4()] = true
			opts.Addresses = append(opts.Addresses, a)
		}
		if err := c.ProbeNet(cmd.Context(), opts); err != nil {
			return fmt.Errorf("probenet: %w", err)
		}
		return nil
	}
	return cmd
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) explain() *cobra.Command {
	var req api.ExplainRequest
	var capture string
	cmd := &cobra.Command{
		Use:   "explain {CLIENT | --pcap FILE}",
		Short: "Say where a client's packets go, and why",
		Long: `Say where the packets of CLIENT, an address, go and why: rule by rule, in the data plane's order, from the maps that the
program in the kernel reads. First come the client's flows, each with its pin, then a new flow to each listener, and a
packet of TCP in mid-stream without a pin where it would go elsewhere. Nothing is changed.

Without --port a new flow's own port is left open: it decides the slot of the Maglev table, and so which of a generation's
backends. Of a listener with a range of ports the first is taken, or the one that --to names.

Where the service limits new flows, it says how many the client's prefix may begin now.

With --if-flipped it says what would be after 'ebbtide flip': flows keep their pins, new ones go to the other colour.

With --pcap the packets of a capture go through the program itself, the same by its tag, loaded a second time on copies of
the maps: so nothing changes, and each packet sees what those before it did. It prints what became of each and what was
counted. The file is pcap or pcapng of Ethernet frames, as they come to this host: of at most 16 MiB and 10,000 packets.
A frame for the MAC of no interface that the program is on was flooded, and is passed. It takes a second, and as much
memory again as the maps.

Without --pcap it does not look at what the rest of a packet or a full flow table may change: a packet can be too big for its way, or its
TTL used up, and a new flow can find no room. 'ebbtide drops' counts those.`,
		Example: `  ebbtide explain 198.51.100.7
  ebbtide explain 198.51.100.7 --service world --port 40000
  ebbtide explain 2001:db8::7 --service world --to 7790 --if-flipped
  ebbtide explain --pcap from-the-switch.pcap -o json | jq '.packets[] | select(.verdict == "drop")'`,
		Args: cobra.MaximumNArgs(1),
	}
	out := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&req.Service, "service", "", "only this service")
	flags.Uint16Var(&req.Port, "port", 0, "the client's port")
	flags.Uint16Var(&req.To, "to", 0, "only this port of the listeners")
	flags.BoolVar(&req.IfFlipped, "if-flipped", false, "as it would be after a flip")
	flags.StringVar(&capture, "pcap", "", "run the packets of this capture through the program, on copies of the maps")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch narrowed := req.Service != "" || req.Port != 0 || req.To != 0; {
		case capture == "" && len(args) == 0:
			return exitError{exitUsage, errors.New("give the address of a client, or --pcap")}
		case capture != "" && (narrowed || len(args) != 0):
			return exitError{exitUsage, errors.New("--pcap is about all packets of the file: give no client, --service, --port or --to with it")}
		case capture != "":
			return c.replay(cmd.Context(), *out, capture, req.IfFlipped)
		}
		req.Client = args[0]
		for _, flag := range []string{"port", "to"} {
			if f := flags.Lookup(flag); f.Changed && f.Value.String() == "0" {
				return exitError{exitUsage, errors.New("--" + flag + " 0: want a port from 1 to 65535")}
			}
		}
		err := c.client().Explain(cmd.Context(), req, func(e api.Explanation) error {
			if *out != asTable {
				return c.emit(*out, e)
			}
			w := newTable(c.stdout)
			printExplanation(w, e)
			return w.Flush()
		})
		if err != nil {
			return fmt.Errorf("explain %s: %w", req.Client, err)
		}
		return nil
	}
	return cmd
}

var packetNames = map[string]string{
	api.PacketExisting: "flow", api.PacketNew: "new flow", api.PacketOrphan: "packet in mid-stream",
}

// printExplanation prints what becomes of a packet, then the steps to it.
func printExplanation(w io.Writer, e api.Explanation) {
	to := e.VIP
	if e.Port != 0 {
		to = net.JoinHostPort(e.VIP, strconv.Itoa(int(e.Port)))
	}
	fmt.Fprintf(w, "%s: %s, %s %s to %s: %s%s\n", cmp.Or(e.Service, "-"), packetNames[e.Packet], e.Protocol, e.Client, to, e.Outcome(), whereTo(e))
	for _, s := range e.Steps {
		fmt.Fprintf(w, "  %s\t%s\n", s.Step, s.Says)
	}
	fmt.Fprintln(w)
}

func whereTo(e api.Explanation) string {
	if e.Verdict != api.VerdictForward || e.Generation == nil {
		return ""
	}
	one := ""
	if len(e.Backends) > 1 {
		one = "one of "
	}
	return fmt.Sprintf(" to %s%s of %s", one, strings.Join(e.Backends, ", "), nameOf(*e.Generation))
}

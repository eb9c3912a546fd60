package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) trace() *cobra.Command {
	length, sample := 10*time.Second, oneOf(1)
	var file string
	var req api.TraceRequest
	cmd := &cobra.Command{
		Use:   "trace CLIENT",
		Short: "Show what the program does with a client's packets, as they come",
		Long: `Show what the program does with the packets of CLIENT, an address or a prefix, and with what backends answer it through
this host, a line each: the verdict, the reasons that were counted, service, generation and backend, the state that the
flow was in, and by which interface to which MAC it left. "new flow" is one that no packet had pinned.

Nothing is in the packet path while nobody traces. A trace puts a copy of the program that reports beside forwarding in
the program's place, on each interface in one step, and the program back when it ends: at --for or --count, with this
command, when the daemon stops, or when an upgrade replaces the program, which does not wait. When the daemon is killed the copy goes on
forwarding, reports nothing any more after the time, and is taken away by the next start. Interfaces that are added
meanwhile are not traced. One trace runs at a time.

While it runs, packets of others cost a look at their addresses more, and a packet that is traced five times what it costs
otherwise; --rate bounds how many are. Packets that are not shown are counted, and the last line says why. Of each frame
the first 256 bytes are copied. ICMP errors that routers send about a client's packets are from the routers' addresses:
trace those.`,
		Example: `  ebbtide trace 198.51.100.7
  ebbtide trace 198.51.100.0/24 --service world --count 20 --for 1m
  ebbtide trace 0.0.0.0/0 --sample 1/1000 -o json | jq -r 'select(.packet.verdict == "drop") | .packet.reasons[]'
  ebbtide trace 2001:db8::7 --pcap-out session.pcapng`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	out := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&req.Service, "service", "", "show packets of this service only")
	flags.Uint64Var(&req.Count, "count", 0, "end after so many packets; 0: at the time only")
	flags.DurationVar(&length, "for", length, "end after this time, at most 10m")
	flags.Var(&sample, "sample", "trace one packet of so many, by chance, such as 1/100")
	flags.Uint32Var(&req.Rate, "rate", 1000, "trace at most so many packets a second and CPU")
	flags.StringVar(&file, "pcap-out", "", "write frames to this pcapng file: interface in as they came, interface out as they were sent")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Client, req.Seconds, req.Sample, req.Frames = args[0], length.Seconds(), uint32(sample), file != ""
		if err := c.runTrace(cmd.Context(), req, *out, file); err != nil {
			return fmt.Errorf("trace %s: %w", req.Client, err)
		}
		return nil
	}
	return cmd
}

// runTrace prints packets, and captures them where a file is given.
func (c *cli) runTrace(ctx context.Context, req api.TraceRequest, f format, file string) error {
	if file == "" {
		return c.follow(ctx, req, f, nil)
	}
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	frames, err := newCapture(to)
	if err == nil {
		err = c.follow(ctx, req, f, frames)
	}
	return errors.Join(err, to.Close()) // some file systems tell only now that there was no room
}

// follow prints packets until the end of the trace. To interrupt it is a way to end it.
func (c *cli) follow(ctx context.Context, req api.TraceRequest, f format, frames *capture) error {
	ended := false
	err := c.client().Trace(ctx, req, func(t api.Traced) error {
		ended = t.End != nil
		if frames != nil && t.Packet != nil {
			if err := frames.packet(*t.Packet); err != nil {
				return err
			}
			t.Packet.In, t.Packet.Out = nil, nil
		}
		if f != asTable {
			return c.emit(f, t)
		}
		_, err := fmt.Fprintln(c.stdout, tracedLine(t))
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil && !ended:
		return errors.New("the daemon ended before the trace")
	}
	return err
}

func tracedLine(t api.Traced) string {
	switch {
	case t.Begun != nil:
		return "tracing on " + strings.Join(t.Begun.Interfaces, ", ")
	case t.End != nil:
		return endLine(*t.End)
	case t.Packet != nil:
		return packetLine(*t.Packet)
	}
	return "a line of a newer daemon"
}

// endLine says why a trace ended, and what it did not show.
func endLine(e api.TraceEnd) string {
	line := fmt.Sprintf("%s: %d shown of %d", e.Reason, e.Shown, e.Matched)
	for _, left := range []struct {
		n   uint64
		why string
	}{{e.SampledOut, "not in the sample"}, {e.OverRate, "over the rate"}, {e.Lost, "lost"}, {e.Others, "of other services"}} {
		if left.n > 0 {
			line += fmt.Sprintf(", %d %s", left.n, left.why)
		}
	}
	return line
}

// packetLine is a packet and what became of it.
func packetLine(p api.TracedPacket) string {
	return fmt.Sprintf("%s %s %s %s > %s %dB: %s", p.Time.Format("15:04:05.000000"), p.Interface, p.Protocol,
		orDash(p.Source), orDash(p.Destination), p.Bytes, decision(p))
}

func decision(p api.TracedPacket) string {
	parts := []string{strings.Join(append([]string{p.Verdict}, p.Reasons...), " ")}
	if p.Service != "" {
		parts = append(parts, p.Service)
	}
	if p.Generation.Number != 0 {
		parts = append(parts, nameOf(p.Generation), "backend "+orDash(p.Backend))
	}
	if p.Service != "" && (p.Protocol == "tcp" || p.Protocol == "udp") {
		parts = append(parts, cmp.Or(p.State, "new")+" flow")
	}
	if p.OutInterface != "" {
		parts = append(parts, fmt.Sprintf("out by %s to %s", p.OutInterface, p.OutMAC))
	}
	return strings.Join(parts, ", ")
}

// oneOf is a sample: 1/N.
type oneOf uint32

// String, Set and Type implement pflag.Value.
func (o *oneOf) String() string { return fmt.Sprintf("1/%d", *o) }

func (o *oneOf) Set(s string) error {
	var n uint32
	if _, err := fmt.Sscanf(s, "1/%d", &n); err != nil || n == 0 || s != fmt.Sprintf("1/%d", n) {
		return errors.New("want 1/N, such as 1/100")
	}
	*o = oneOf(n)
	return nil
}

func (o *oneOf) Type() string { return "1/N" }

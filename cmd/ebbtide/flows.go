package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

// rowsAtOnce is how many rows have their columns in line: there may be
// millions of them.
const rowsAtOnce = 1000

func (c *cli) flows() *cobra.Command {
	var filter api.FlowFilter
	cmd := &cobra.Command{
		Use:   "flows [SERVICE]",
		Short: "List the flows in the kernel's table",
		Long: `List the flows in the kernel's table, all or those of SERVICE, that agree with every flag given. The order means
nothing, and flows come and go meanwhile. With -o json each flow is a line of its own.`,
		Example: `  ebbtide flows world --client 198.51.100.7
  ebbtide flows world --generation 3 --state established
  ebbtide flows --client 2001:db8::/32 -o json | jq -r .backend | sort | uniq -c`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&filter.Client, "client", "", "address or prefix of the client")
	flags.Uint32Var(&filter.Generation, "generation", 0, "generation that the flow is pinned to")
	flags.StringVar(&filter.State, "state", "", strings.Join(api.FlowStates(), ", "))
	states := cobra.FixedCompletions(api.FlowStates(), cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("state", states) // fails for an unknown flag only
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			filter.Service = args[0]
		}
		if err := c.printFlows(cmd.Context(), *out, filter); err != nil {
			return fmt.Errorf("flows: %w", err)
		}
		return nil
	}
	return cmd
}

// printFlows prints flows as they come. JSON is what the daemon sends: ten million lines need not be read to be written.
func (c *cli) printFlows(ctx context.Context, f format, filter api.FlowFilter) error {
	if f == asJSON {
		w := bufio.NewWriterSize(c.stdout, 64<<10)
		err := c.client().FlowLines(ctx, filter, func(line []byte) error {
			_, err := w.Write(line)
			return cmp.Or(err, w.WriteByte('\n'))
		})
		return cmp.Or(w.Flush(), err)
	}
	show, end := c.flowPrinter(f)
	err := c.client().Flows(ctx, filter, show)
	return cmp.Or(end(), err)
}

// flowPrinter gives what prints a flow, and what to call after the last.
func (c *cli) flowPrinter(f format) (show func(api.Flow) error, end func() error) {
	if f != asTable {
		return func(flow api.Flow) error { return c.emit(f, flow) }, func() error { return nil }
	}
	w, rows := newTable(c.stdout), 0
	show = func(flow api.Flow) error {
		if rows == 0 {
			fmt.Fprintln(w, "SERVICE\tPROTOCOL\tCLIENT\tVIP\tPORT\tGENERATION\tCOLOUR\tBACKEND\tSTATE\tAGE\tIDLE")
		}
		rows++
		printFlow(w, flow)
		if rows%rowsAtOnce == 0 {
			return w.Flush()
		}
		return nil
	}
	return show, w.Flush
}

func printFlow(w io.Writer, f api.Flow) {
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n",
		f.Service, f.Protocol, f.Client, f.VIP, f.Port, f.Generation.Number, orDash(f.Generation.Colour), f.Backend, f.State,
		time.Duration(f.AgeSeconds)*time.Second, time.Duration(f.IdleSeconds)*time.Second)
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/report"
)

// pageFormat is how a report is written.
type pageFormat string

const (
	asMarkdown pageFormat = "md"
	asHTML     pageFormat = "html"
	asPageJSON pageFormat = "json"
)

// String, Set and Type implement pflag.Value.
func (f *pageFormat) String() string { return string(*f) }

func (f *pageFormat) Set(s string) error {
	switch pageFormat(s) {
	case asMarkdown, asHTML, asPageJSON:
		*f = pageFormat(s)
		return nil
	}
	return fmt.Errorf("want md, json or html")
}

func (f *pageFormat) Type() string { return "format" }

func (c *cli) report() *cobra.Command {
	var req api.ReportRequest
	out := asMarkdown
	cmd := &cobra.Command{
		Use:   "report SERVICE",
		Short: "Write a report of a release",
		Long: `Write a report of a release of SERVICE: what was done, when, by whom and why; the sessions of each generation; what gates
and hooks said; how many sessions were moved; and what was forecast of the drain against what came. Without --release it
is of the newest, or of the newest flip by hand where that came later. One can be made while the release goes on.

With -o html it is one page with a plot of the sessions, without scripts and without anything from elsewhere. What was
done comes from the journal. How many sessions there were comes from samples in the state directory: while a service
drains or is released, at each second at first and more rarely later, 16 MiB for all services; older ones go.`,
		Example: `  ebbtide report world
  ebbtide report world --release 7 -o html > release-7.html`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	flags := cmd.Flags()
	flags.VarP(&out, "output", "o", "md, json or html")
	flags.Uint32Var(&req.Release, "release", 0, "the release's number (0: the newest)")
	complete := cobra.FixedCompletions([]string{string(asMarkdown), string(asPageJSON), string(asHTML)}, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("output", complete) // fails for an unknown flag only
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		r, err := c.client().Report(cmd.Context(), req)
		if err == nil {
			err = c.writeReport(r, out)
		}
		if err != nil {
			return fmt.Errorf("report %s: %w", req.Service, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) writeReport(r api.Report, f pageFormat) error {
	page := report.Markdown(r)
	switch f {
	case asPageJSON:
		return c.json(r, "  ")
	case asHTML:
		var err error
		if page, err = report.HTML(r); err != nil {
			return err
		}
	}
	_, err := c.stdout.Write(page)
	return err
}

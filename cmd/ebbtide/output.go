package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
)

// format is how a verb prints.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
	asYAML  format = "yaml"
)

// String, Set and Type implement pflag.Value.
func (f *format) String() string { return string(*f) }

func (f *format) Set(s string) error {
	switch format(s) {
	case asTable, asJSON, asYAML:
		*f = format(s)
		return nil
	}
	return fmt.Errorf("want table, json or yaml")
}

func (f *format) Type() string { return "format" }

// outputFlag gives cmd its -o.
func outputFlag(cmd *cobra.Command) *format {
	f := asTable
	cmd.Flags().VarP(&f, "output", "o", "table, json or yaml")
	complete := cobra.FixedCompletions([]string{string(asTable), string(asJSON), string(asYAML)}, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("output", complete) // fails for an unknown flag only
	return &f
}

// show prints v, by table when that is the format.
func (c *cli) show(f format, v any, table func(io.Writer)) error {
	switch f {
	case asJSON:
		return c.json(v, "  ")
	case asYAML:
		return c.yaml(v)
	}
	w := newTable(c.stdout)
	table(w)
	return w.Flush()
}

// emit prints one of many: a JSON document a line, a YAML document each.
func (c *cli) emit(f format, v any) error {
	if f == asJSON {
		return c.json(v, "")
	}
	if _, err := io.WriteString(c.stdout, "---\n"); err != nil {
		return err
	}
	return c.yaml(v)
}

// table has its columns in line. It writes nothing before Flush, and then in large pieces: tabwriter alone would make a
// system call a cell.
type table struct {
	*tabwriter.Writer
	out *bufio.Writer
}

func newTable(w io.Writer) table {
	out := bufio.NewWriterSize(w, 64<<10)
	return table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), out}
}

func (t table) Flush() error {
	if err := t.Writer.Flush(); err != nil {
		return err
	}
	return t.out.Flush()
}

func (c *cli) json(v any, indent string) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	return enc.Encode(v)
}

// yaml prints what JSON would, with the same names in the same order: JSON is
// YAML, in a style that nobody wants to read.
func (c *cli) yaml(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	plainStyle(&doc)
	var out bytes.Buffer
	enc, err := yaml.NewDumper(&out)
	if err != nil {
		return err
	}
	if err := enc.Dump(&doc); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	_, err = out.WriteTo(c.stdout)
	return err
}

func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plainStyle(child)
	}
}

// orDash stands in for what is empty, so that a table keeps its columns.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

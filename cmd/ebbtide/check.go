package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/config"
)

// checked is what check prints.
type checked struct {
	File     string    `json:"file"`
	Sound    bool      `json:"sound"`
	Services int       `json:"services"`
	Backends int       `json:"backends"`
	Mistakes []mistake `json:"mistakes"`
}

type mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

func (c *cli) check() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say whether a configuration file is sound",
		Long: `Say whether a configuration file is sound. It needs neither root nor a daemon, and changes nothing.

Every mistake is named with file, line, field and reason, and makes the exit code 1. What a reload of the file would
change is the matter of 'ebbtide plan'.`,
		Example: `  ebbtide check /etc/ebbtide/ebbtide.yaml
  ebbtide check new.yaml -o json | jq '.mistakes[].line'`,
		Args: cobra.ExactArgs(1),
	}
	out := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		cfg, err := config.Load(args[0])
		var mistakes config.Errors
		if err != nil && !errors.As(err, &mistakes) {
			return err
		}
		if err == nil || *out != asTable {
			if err := c.showChecked(*out, newChecked(args[0], cfg, mistakes)); err != nil {
				return err
			}
		}
		if len(mistakes) > 0 {
			return fmt.Errorf("%s is not sound:\n%w", args[0], mistakes)
		}
		return nil
	}
	return cmd
}

func newChecked(file string, cfg *config.Config, mistakes config.Errors) checked {
	sum := checked{File: file, Sound: cfg != nil, Mistakes: []mistake{}}
	for _, m := range mistakes {
		sum.Mistakes = append(sum.Mistakes, mistake{m.File, m.Line, m.Field, m.Reason})
	}
	if cfg == nil {
		return sum
	}
	sum.Services = len(cfg.Services)
	for _, s := range cfg.Services {
		for _, p := range s.Pools {
			sum.Backends += len(p.Backends)
		}
	}
	return sum
}

func (c *cli) showChecked(f format, sum checked) error {
	return c.show(f, sum, func(w io.Writer) {
		fmt.Fprintf(w, "%s is sound: services %d, backends %d\n", sum.File, sum.Services, sum.Backends)
	})
}

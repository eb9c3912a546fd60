package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) stage() *cobra.Command {
	var req api.StageRequest
	file := ""
	cmd := &cobra.Command{
		Use:   "stage SERVICE --version VERSION --file POOL",
		Short: "Give the idle colour a new generation, without an edit of the configuration file",
		Long: `Give the idle colour of SERVICE a new generation: VERSION, with the backends of POOL, a YAML file with the key backends as a
pool of the configuration has it. Nothing of it is live yet; testers may reach it, and 'ebbtide release' releases it.

The pool stands in place of what the configuration file has in that colour, over restarts and reloads, until the file has
its version too, or has another version there than it had when the pool was staged: then the file is followed again. So
write it into the file when you come to it. A file with changes that are not applied yet is refused: reload it first.`,
		Example: `  ebbtide stage world --version 2.1 --file pool.yaml
  ebbtide stage world --version 2.1 --file pool.yaml && ebbtide verify world && ebbtide release world --wait`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	cmd.Flags().StringVar(&req.Version, "version", "", "the version that the backends run")
	cmd.Flags().StringVar(&file, "file", "", "the file with the backends")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service, req.Name = args[0], file
		err := c.runStage(cmd, req, *out)
		if err != nil {
			return fmt.Errorf("stage %s: %w", req.Service, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) runStage(cmd *cobra.Command, req api.StageRequest, f format) error {
	if req.Version == "" || req.Name == "" {
		return exitError{exitUsage, errors.New("--version and --file are needed")}
	}
	var err error
	if req.Pool, err = os.ReadFile(req.Name); err != nil {
		return err
	}
	res, err := c.client().Stage(cmd.Context(), req)
	if err != nil {
		return err
	}
	return c.show(f, res, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s is staged\n", res.Service, nameOf(res.Candidate))
		for _, change := range res.Changes {
			fmt.Fprintf(w, "  %s\n", change.What)
		}
	})
}

package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/journal"
)

func (c *cli) journal() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "journal",
		Short:   "Look after the journal",
		Long:    `Look after the journal, the file that says what was done. 'ebbtide history' prints it.`,
		Example: `  ebbtide journal verify`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return exitError{exitUsage, errors.New("want verify")}
		},
	}
	cmd.AddCommand(c.journalVerify())
	return cmd
}

func (c *cli) journalVerify() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody changed the journal",
		Long: `Check each line of the journal against the one before it, by the hash that binds them: a line that was changed, taken out
or put in between is named. It reads the file itself and needs no daemon.

Lines that were taken off the end leave no gap. Keep the hash that is printed elsewhere to know of those, too.`,
		Example: `  ebbtide journal verify
  ebbtide journal verify --file /backup/journal.jsonl`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.Flags().StringVar(&file, "file", filepath.Join(defaultStateDir, journal.FileName), "the journal")
	cmd.RunE = func(*cobra.Command, []string) error {
		head, err := journal.VerifyFile(file)
		if errors.Is(err, journal.ErrTorn) {
			err = fmt.Errorf("%w after line %d: a daemon is writing it, or a crash has left it so, and the next start cuts it off", err, head.Seq)
		}
		if err != nil {
			return fmt.Errorf("journal verify: %w", err)
		}
		return c.show(*out, head, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %d events, sound\n", file, head.Seq)
			fmt.Fprintf(w, "  hash of the last:\t%s\n", head.Hash)
		})
	}
	return cmd
}

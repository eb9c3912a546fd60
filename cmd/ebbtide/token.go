package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/remote"
)

func (c *cli) token() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "token NAME --to FILE",
		Short: "Make a bearer token for the remote API",
		Long: `Make a bearer token for the remote API: 256 random bits. The token is written to a new file of mode 0600, and never
shown. What is printed is the line for the daemon's tokens file: the name and the token's hash, from which nobody finds
the token. It is taken once that line is there and api.roles of the configuration gives the name a role. No daemon is
asked. A name may have several lines: add the new one, move whoever uses the token to it, take the old one out.`,
		Example: `  ebbtide token ci --to ci.token >> /etc/ebbtide/tokens
  ebbtide status --server https://lb1.example:9596 --ca ca.pem --token-file ci.token`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&to, "to", "", "the file for the token; it must not be there yet")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if to == "" {
			return exitError{exitUsage, errors.New("token: --to is missing: the file for the token")}
		}
		token, line, err := remote.NewToken(args[0])
		if err != nil {
			return exitError{exitUsage, fmt.Errorf("token: %w", err)}
		}
		if err := writeNew(to, token+"\n"); err != nil {
			return fmt.Errorf("token: %w", err)
		}
		fmt.Fprintln(c.stdout, line)
		return nil
	}
	return cmd
}

// writeNew writes a file that only its owner may read, and that was not there.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

const (
	defaultSocket = "/run/ebbtide/ebbtide.sock"
	socketEnv     = "EBBTIDE_SOCKET"
)

// cli is what the verbs share.
type cli struct {
	env
	socket string
}

// run is the whole program: it gives the exit code.
func run(ctx context.Context, e env, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	// What goes wrong before a verb begins is a matter of the command line.
	begun := false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !begun {
		err = exitError{exitUsage, err}
	}
	fmt.Fprintf(e.stderr, "ebbtide: %v\n", err)
	code := exitCode(err)
	if code == exitUsage {
		fmt.Fprintf(e.stderr, "See '%s --help'.\n", cmd.CommandPath())
	}
	return code
}

// newRoot has a line a verb.
func newRoot(e env) *cobra.Command {
	c := &cli{env: e}
	root := &cobra.Command{
		Use:   "ebbtide",
		Short: "Blue-green for traffic that must not be cut",
		Long: `ebbtide moves a service from one colour to the other: new sessions go to the new one, sessions in progress stay
where they are until they end by themselves, and the daemon knows from the kernel when the old colour is empty.

` + exitCodesHelp(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return exitError{exitUsage, fmt.Errorf("a verb is missing")}
		},
	}
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.PersistentFlags().StringVar(&c.socket, "socket", c.socketDefault(), "the daemon's unix socket, also $"+socketEnv)
	root.AddCommand(
		c.check(), c.daemon(), c.detach(), c.drain(), c.flip(), c.flows(),
		c.plan(), c.reload(), c.rollback(), c.status(), c.version(),
	)
	root.InitDefaultCompletionCmd()
	return root
}

func (c *cli) socketDefault() string {
	if socket := c.getenv(socketEnv); socket != "" {
		return socket
	}
	return defaultSocket
}

func (c *cli) client() *api.Client { return api.New(c.socket) }

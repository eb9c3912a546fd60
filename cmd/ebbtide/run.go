package main

import (
	"context"
	"errors"
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
	server api.Server // of the URL "": the socket is asked
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
	fmt.Fprintf(e.stderr, "%s %v\n", e.paintError("ebbtide:"), err)
	if next := nextStep(err, cmd.CommandPath()); next != "" {
		fmt.Fprintln(e.stderr, next)
	}
	return exitCode(err)
}

// newRoot has a line a verb.
func newRoot(e env) *cobra.Command {
	c := &cli{env: e}
	root := &cobra.Command{
		Use:   "ebbtide",
		Short: "Blue-green for traffic that must not be cut",
		Long: `ebbtide moves a service from one colour to the other: new sessions go to the new one, sessions in progress stay
where they are until they end by themselves, and the daemon knows from the kernel when the old colour is empty.

'ebbtide completion' has a script for each shell, which offers the services, colours and generations that there are.
Output is coloured on terminals only, and not where NO_COLOR is set.

` + exitCodesHelp(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // so that RunE hears of what is no verb
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return suggestVerb(cmd, args[0])
			}
			return exitError{exitUsage, errors.New("a verb is missing")}
		},
	}
	root.SetFlagErrorFunc(suggestFlag)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.PersistentFlags().StringVar(&c.socket, "socket", c.socketDefault(), "the daemon's unix socket, also $"+socketEnv)
	c.serverFlags(root)
	root.AddCommand(
		c.backend(), c.check(), c.closeService(), c.daemon(), c.detach(), c.doctor(), c.drain(), c.drops(),
		c.events(), c.evict(), c.explain(), c.flip(), c.flows(), c.gates(), c.health(), c.history(), c.journal(),
		c.lock(), c.man(), c.occupancy(), c.openService(), c.plan(), c.probeNet(), c.rehearse(), c.release(),
		c.reload(), c.report(), c.rollback(), c.schedule(), c.share(), c.stage(), c.status(), c.supportBundle(),
		c.testers(), c.token(), c.top(), c.trace(), c.unlock(), c.verify(), c.version(), c.web(),
	)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Example = completionExample
		}
	}
	c.complete(root.Commands())
	return root
}

func (c *cli) socketDefault() string {
	if socket := c.getenv(socketEnv); socket != "" {
		return socket
	}
	return defaultSocket
}

func (c *cli) client() *api.Client {
	if c.server.URL != "" {
		return api.NewRemote(c.server)
	}
	return api.New(c.socket)
}

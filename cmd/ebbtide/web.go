package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/web"
)

func (c *cli) web() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "web",
		Short: "Print the address of the web page, with its token",
		Long: `Print the address of the daemon's web page. The page is off until the configuration says where to serve it, on a
loopback address:

  web: {listen: 127.0.0.1:8080}

What is behind the # is the token: whoever has it may do what the page can, so it is a secret. The daemon keeps it beside
its socket in a file that only its own user may read, and takes the same again when it is restarted; remove the file and
restart the daemon for another. From another host the page is reached by a tunnel: ssh -L 8080:127.0.0.1:8080 HOST.`,
		Example: `  sudo ebbtide web
  xdg-open "$(sudo ebbtide web)"`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := c.client().Status(cmd.Context()); err != nil { // a daemon that was killed has left its file
			return fmt.Errorf("web: %w", err)
		}
		access, err := web.ReadAccess(c.socket)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = api.Errorf(api.Refused, "the daemon serves no page: put web: {listen: 127.0.0.1:8080} into its configuration, and reload")
		case errors.Is(err, fs.ErrPermission):
			err = api.Errorf(api.Refused, "%s is for the daemon's own user only: run it as that one, or as root", web.AccessFile(c.socket))
		}
		if err != nil {
			return fmt.Errorf("web: %w", err)
		}
		shown := struct {
			URL string `json:"url"`
			web.Access
		}{access.URL(), access}
		return c.show(*out, shown, func(w io.Writer) { fmt.Fprintln(w, access.URL()) })
	}
	return cmd
}

package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is what the binary knows of its own making.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // since that commit
	Go       string `json:"go"`
}

func (c *cli) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    `Print the version of this binary. That of the running daemon is in 'ebbtide status'.`,
		Example: `  ebbtide version -o json`,
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := newVersion(c.build())
		return c.show(*out, v, func(w io.Writer) {
			fmt.Fprintf(w, "ebbtide %s", v.Version)
			if v.Commit != "" {
				fmt.Fprintf(w, ", commit %s", v.Commit)
			}
			if v.Modified {
				fmt.Fprint(w, " with changes")
			}
			fmt.Fprintf(w, ", %s\n", v.Go)
		})
	}
	return cmd
}

func newVersion(info *debug.BuildInfo, ok bool) versionInfo {
	if !ok {
		return versionInfo{Version: "unknown", Go: runtime.Version()}
	}
	v := versionInfo{Version: info.Main.Version, Go: info.GoVersion}
	if v.Version == "" {
		v.Version = "unknown"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

// oneOfAGroup refuses flags that are about the release of one service.
func (s subject) oneOfAGroup(cmd *cobra.Command, flags map[string]string) error {
	for name, why := range flags {
		if s.group != "" && cmd.Flags().Changed(name) {
			return exitError{exitUsage, fmt.Errorf("--%s and --group: %s", name, why)}
		}
	}
	return nil
}

func (c *cli) runGroupRelease(ctx context.Context, req api.GroupReleaseRequest, wait waiting, f format) error {
	res, err := c.client().ReleaseGroup(ctx, req)
	if err != nil {
		return err
	}
	if !wait.wait {
		return c.show(f, res, func(w io.Writer) { printGroupReleases(w, res) })
	}
	return c.awaitReleases(ctx, res, wait.timeout, f)
}

func printGroupReleases(w io.Writer, res api.GroupReleases) {
	for _, r := range res.Releases {
		printRelease(w, r)
	}
}

// groupReleases are those of a group's services: of each the newest.
func (c *cli) groupReleases(ctx context.Context, group string) (api.GroupReleases, error) {
	out := api.GroupReleases{Group: group, Releases: []api.Release{}}
	client := c.client()
	status, err := client.Status(ctx)
	if err != nil {
		return out, err
	}
	members := 0
	for _, s := range status.Services {
		if s.Group != group {
			continue
		}
		members++
		res, err := client.Releases(ctx, api.ReleasesRequest{Service: s.Name})
		if err != nil {
			return out, err
		}
		if n := len(res.Releases); n > 0 {
			out.Releases = append(out.Releases, res.Releases[n-1])
		}
	}
	switch {
	case members == 0:
		return out, exitError{exitUsage, fmt.Errorf("group %s: no service is in it", group)}
	case len(out.Releases) == 0:
		return out, exitError{exitUsage, fmt.Errorf("group %s: none of its services has a release", group)}
	}
	return out, nil
}

// awaitReleases shows the releases of a group until all are over. The first that does not end as it should ends the wait: the
// others may wait for it.
func (c *cli) awaitReleases(ctx context.Context, all api.GroupReleases, timeout time.Duration, f format) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var waits sync.WaitGroup
	var turn sync.Mutex
	var once sync.Once
	var first error
	for _, r := range all.Releases {
		waits.Go(func() {
			err := c.awaitRelease(ctx, api.ReleasesRequest{Service: r.Service, Number: r.Number}, timeout, f, &turn)
			if err == nil {
				return
			}
			once.Do(func() {
				first = fmt.Errorf("service %s: %w", r.Service, err)
				stop()
			})
		})
	}
	waits.Wait()
	return first
}

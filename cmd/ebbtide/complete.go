package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
)

// completeTimeout keeps a shell from hanging on a daemon that does.
const completeTimeout = time.Second

// completionExample is how each shell takes its script for good.
const completionExample = `  ebbtide completion bash >/etc/bash_completion.d/ebbtide
  ebbtide completion zsh >/usr/local/share/zsh/site-functions/_ebbtide
  ebbtide completion fish >/etc/fish/completions/ebbtide.fish`

// completer offers what an argument or a flag can be. Without a daemon there
// is nothing alive to offer.
type completer func(s api.Status, args []string) []string

// complete gives each verb that has such a flag its values.
func (c *cli) complete(verbs []*cobra.Command) {
	for _, cmd := range verbs {
		for flag, offer := range map[string]completer{
			"generation": generations, "number": releases, "group": groups, "service": services, "release": services,
		} {
			if cmd.Flags().Lookup(flag) != nil {
				_ = cmd.RegisterFlagCompletionFunc(flag, c.offer(offer)) // fails for an unknown flag only
			}
		}
		c.complete(cmd.Commands())
	}
}

// offer asks the daemon.
func (c *cli) offer(what completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		status, _ := c.client().Status(ctx) // an error on the command line that is being typed would spoil it
		return what(status, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeService offers services for the first argument, and what follow
// offers for those after it.
func (c *cli) completeService(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return c.completeArgs()(cmd, args, begun)
}

func (c *cli) completeArgs(follow ...completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return c.offer(services)(cmd, args, begun)
		case len(args) <= len(follow):
			return c.offer(follow[len(args)-1])(cmd, args, begun)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

func fixed(all ...string) completer {
	return func(api.Status, []string) []string { return all }
}

func services(s api.Status, _ []string) []string {
	var out []string
	for _, svc := range s.Services {
		out = append(out, described(svc.Name, liveWords(svc)))
	}
	return out
}

// described is a value, and what shells show beside it.
func described(value, text string) string {
	if text == "" {
		return value
	}
	return cobra.CompletionWithDesc(value, text)
}

func liveWords(svc api.Service) string {
	if svc.Live.Number == 0 {
		return ""
	}
	return svc.Live.Name() + " is live"
}

// of are the services that the first argument names, all without one.
func of(s api.Status, args []string) []api.Service {
	if len(args) == 0 {
		return s.Services
	}
	return slices.DeleteFunc(slices.Clone(s.Services), func(svc api.Service) bool { return svc.Name != args[0] })
}

func generations(s api.Status, args []string) []string {
	var out []string
	for _, svc := range of(s, args) {
		for _, g := range svc.Generations {
			out = append(out, described(fmt.Sprint(g.Number), fmt.Sprintf("%s: version %s, %s, sessions %d", svc.Name, g.Version, g.State, g.Sessions.Total)))
		}
	}
	return out
}

// colours are both, with what is in them where the daemon tells.
func colours(s api.Status, args []string) []string {
	out := []string{config.Blue.String(), config.Green.String()}
	if len(args) == 0 {
		return out
	}
	for _, svc := range of(s, args) {
		for _, g := range svc.Generations {
			if i := slices.Index(out, g.Colour); i >= 0 {
				out[i] = described(g.Colour, fmt.Sprintf("generation %d, version %s, %s", g.Number, g.Version, g.State))
			}
		}
	}
	return out
}

func groups(s api.Status, _ []string) []string {
	members := map[string][]string{}
	var names []string
	for _, svc := range s.Services {
		if svc.Group == "" {
			continue
		}
		if members[svc.Group] == nil {
			names = append(names, svc.Group)
		}
		members[svc.Group] = append(members[svc.Group], svc.Name)
	}
	for i, name := range names {
		names[i] = described(name, strings.Join(members[name], ", "))
	}
	return names
}

func releases(s api.Status, args []string) []string {
	var out []string
	for _, svc := range of(s, args) {
		for _, r := range svc.Releases {
			out = append(out, described(fmt.Sprint(r.Number), svc.Name+": "+r.State))
		}
	}
	return out
}

func gates(s api.Status, args []string) []string {
	var out []string
	for _, svc := range of(s, args) {
		for _, r := range svc.Releases {
			for _, g := range r.Gates {
				out = append(out, described(g.Gate, g.Verdict))
			}
		}
	}
	return out
}

func backends(s api.Status, args []string) []string {
	var out []string
	for _, svc := range of(s, args) {
		for _, g := range svc.Generations {
			for _, b := range g.Backends {
				for _, address := range b.Addresses {
					out = append(out, described(address, g.Name()))
				}
			}
		}
	}
	return out
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/nearest"
)

// knows is an error when there is no such service.
func knows(s api.Status, service string) error {
	var names []string
	for _, svc := range s.Services {
		names = append(names, svc.Name)
	}
	if slices.Contains(names, service) {
		return nil
	}
	return api.Errorf(api.NotFound, "service %s: there is none of this name%s", service, nearest.Hint(service, names))
}

// suggestFlag adds the flag that may be meant to the error of one that there is not.
func suggestFlag(cmd *cobra.Command, err error) error {
	typed, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	var names []string
	add := func(f *pflag.Flag) { names = append(names, "--"+f.Name) }
	cmd.Flags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return fmt.Errorf("%w%s", err, nearest.Hint("--"+typed, names))
}

// suggestVerb is for what is no verb: cobra's list of those that begin alike
// leaves out letters that are swapped.
func suggestVerb(root *cobra.Command, typed string) error {
	var names []string
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			names = append(names, cmd.Name())
		}
	}
	return exitError{exitUsage, fmt.Errorf("%s: there is no such verb%s", typed, nearest.Hint(typed, names))}
}

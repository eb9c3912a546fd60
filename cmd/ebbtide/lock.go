package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
)

func (c *cli) lock() *cobra.Command {
	var req api.LockRequest
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "lock [SERVICE --reason TEXT --for TIME]",
		Short: "Keep everybody from changing a service, for a time",
		Long: `Keep everybody from changing SERVICE for a time: flip, rollback, share, testers, evict, and a reload that changes
something of it are refused, with the name of who holds the lock, his reason and the time. That goes for the one who
holds it, too. Whoever has to gives --break-lock with the verb, which the journal tells; the lock stays.

A lock is over when its time is, or with 'ebbtide unlock'. It outlives restarts and reboots. The players notice nothing,
and what drains drains on. 'ebbtide status' shows it.

Without SERVICE it lists what keeps services from being changed, and until when: locks, and the freeze windows of the
configuration, with the next one that will come. A freeze window refuses what a lock does, but for 'ebbtide rollback' and
'ebbtide share SERVICE 0%', which take a change back.`,
		Example: `  ebbtide lock world --reason "tournament" --for 4h
  ebbtide flip world --break-lock --reason "the new version loses items"
  ebbtide lock`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	reasonFlag(cmd, &req.Act)
	cmd.Flags().DurationVar(&length, "for", 0, "how long, 1s to 8784h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			if length != 0 || req.Reason != "" {
				return exitError{exitUsage, errors.New("lock: SERVICE is missing")}
			}
			return c.listHolds(cmd.Context(), *out)
		}
		req.Service, req.ForSeconds = args[0], length.Seconds()
		if length == 0 || req.Reason == "" {
			return exitError{exitUsage, errors.New("lock: --reason and --for are missing, or one of them")}
		}
		lock, err := c.client().Lock(cmd.Context(), req)
		if err != nil {
			return fmt.Errorf("lock %s: %w", req.Service, err)
		}
		return c.show(*out, lock, func(w io.Writer) {
			fmt.Fprintf(w, "%s: locked until %s\n", lock.Service, lock.Until.UTC().Format(time.RFC3339))
		})
	}
	return cmd
}

func (c *cli) unlock() *cobra.Command {
	var req api.UnlockRequest
	cmd := &cobra.Command{
		Use:               "unlock SERVICE",
		Short:             "Let changes of a service happen again",
		Long:              `Take back the lock of SERVICE before its time, whoever holds it.`,
		Example:           `  ebbtide unlock world --reason "the tournament is over"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	reasonFlag(cmd, &req.Act)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Service = args[0]
		if err := c.client().Unlock(cmd.Context(), req); err != nil {
			return fmt.Errorf("unlock %s: %w", req.Service, err)
		}
		done := struct {
			Service string `json:"service"`
			Locked  bool   `json:"locked"`
		}{req.Service, false}
		return c.show(*out, done, func(w io.Writer) { fmt.Fprintf(w, "%s: not locked any more\n", req.Service) })
	}
	return cmd
}

// changeFlags gives cmd what verbs have that change a service.
func changeFlags(cmd *cobra.Command, act *api.Act) {
	reasonFlag(cmd, act)
	cmd.Flags().BoolVar(&act.BreakLock, "break-lock", false, "do it though the service is locked or frozen; the journal tells")
}

// holds is what keeps a service from being changed.
type holds struct {
	Service    string      `json:"service"`
	Lock       *api.Lock   `json:"lock,omitempty"`
	Freeze     *api.Freeze `json:"freeze,omitempty"`
	NextFreeze *api.Freeze `json:"next_freeze,omitempty"`
}

func (c *cli) listHolds(ctx context.Context, f format) error {
	status, err := c.client().Status(ctx)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	all := []holds{}
	for _, s := range status.Services {
		if s.Lock != nil || s.Freeze != nil || s.NextFreeze != nil {
			all = append(all, holds{s.Name, s.Lock, s.Freeze, s.NextFreeze})
		}
	}
	return c.show(f, all, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "nothing is locked or frozen, and no freeze window will come")
			return
		}
		fmt.Fprint(w, holdsHeader)
		for _, s := range status.Services {
			printHolds(w, s)
			printHold(w, s.Name, "freeze to come", "the configuration", s.NextFreeze)
		}
	})
}

const holdsHeader = "SERVICE\tHELD BY\tWHO\tFROM\tUNTIL\tREASON\n"

// printLocks prints nothing where nothing is locked or frozen.
func printLocks(w io.Writer, s api.Status) {
	held := func(s api.Service) bool { return s.Lock != nil || s.Freeze != nil }
	if !slices.ContainsFunc(s.Services, held) {
		return
	}
	fmt.Fprint(w, "\n"+holdsHeader)
	for _, service := range s.Services {
		printHolds(w, service)
	}
}

// printHolds prints what keeps a service from being changed now.
func printHolds(w io.Writer, s api.Service) {
	if l := s.Lock; l != nil {
		printHold(w, s.Name, "lock", l.By, &api.Freeze{Reason: l.Reason, From: l.Since, Until: l.Until})
	}
	printHold(w, s.Name, "freeze", "the configuration", s.Freeze)
}

func printHold(w io.Writer, service, what, by string, f *api.Freeze) {
	if f != nil {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", service, what, by,
			f.From.UTC().Format(time.RFC3339), f.Until.UTC().Format(time.RFC3339), f.Reason)
	}
}

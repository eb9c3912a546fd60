package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/release"
)

func (c *cli) release() *cobra.Command {
	var wait waiting
	var when later
	var of subject
	req := api.ReleaseRequest{Do: api.ReleaseStart}
	cmd := &cobra.Command{
		Use:   "release SERVICE | --group GROUP",
		Short: "Release what is staged, from its checks to the last session of the old generation",
		Long: `Release what is staged on SERVICE's idle colour, in the way of the service's strategy: checks, the flip or the steps before
it, the bake, the drain, notices, the deadline, and the hooks of each. 'ebbtide plan --release SERVICE' says first what
will happen. A service that is released in place, or backend by backend, changes the backends of what is live.

It begins the release and says where it stands. The daemon goes on with it, after a restart too. With --wait it stays
until the release is over: done, or rolled back or aborted (exit code 4). A release that fails ends the wait with exit
code 1, and goes on with 'ebbtide release resume'; --timeout ends the wait, not the release. With --at the daemon begins
it at that time: see 'ebbtide schedule'. Which generation is released is settled now.

With --group it is a release of each service that the configuration has put together, or of none. Each makes its checks;
none flips before all could, and then all do in one step. After that each bakes and drains for itself, but an abort or a
rollback of one, by word or by its gates, is one of all. Their strategies are session or instant. One of them alone is
refused, but for --alone, unless its strategy is rolling or in-place.

The words that a release may be told are status, watch, pause, resume, abort, rollback, approve and notice. Each is
about the newest release of SERVICE that is not over, or the one of --number; all but the last two take --group, too. One
that means nothing where the release stands is refused, with the reason. A rollback is a flip back, at any time until the
old backends are released; an abort is for what has not flipped yet.`,
		Example: `  ebbtide release world --wait
  ebbtide release world --at 14:00 --time-zone Europe/Berlin
  ebbtide release --group shard-1 --wait
  ebbtide release status world
  ebbtide release pause world --reason "the tournament goes on longer"
  ebbtide release approve world ops`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	of.flag(cmd)
	cmd.Flags().BoolVar(&wait.wait, "wait", false, "stay until the release is over")
	cmd.Flags().DurationVar(&wait.timeout, "timeout", 0, "end the wait after this long, such as 90s or 2h (default none)")
	changeFlags(cmd, &req.Act)
	cmd.Flags().BoolVar(&req.Force, "force", false, "go on though checks fail")
	aloneFlag(cmd, &req.Alone)
	when.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := of.read(args)
		if err == nil {
			err = errors.Join(wait.check(cmd), when.check(cmd, wait), of.oneOfAGroup(cmd, map[string]string{
				"at":    "a release of a group can't be scheduled: schedule a flip of it, or begin it then",
				"alone": "it is all of the group or one service alone",
			}))
		}
		req.Service = of.service
		switch {
		case err != nil:
		case of.group != "":
			err = c.runGroupRelease(cmd.Context(), api.GroupReleaseRequest{Act: req.Act, Group: of.group, Do: req.Do, Force: req.Force}, wait, *out)
		case when.at != "":
			err = c.scheduleAt(cmd.Context(), when, api.ScheduleRequest{Act: req.Act, Release: &req}, *out)
		default:
			err = c.runRelease(cmd.Context(), req, wait, *out)
		}
		if err != nil {
			return fmt.Errorf("release%s: %w", of, err)
		}
		return nil
	}
	cmd.AddCommand(c.releaseStatus(), c.releaseWatch())
	for _, w := range releaseWords {
		cmd.AddCommand(c.releaseWord(w.word, w.short, w.long))
	}
	return cmd
}

// releaseWords are what a release may be told.
var releaseWords = []struct{ word, short, long string }{
	{api.ReleasePause, "Stop a release where it stands", "Stop a release where it stands: nothing more is begun until 'resume'. The deadline of its drain goes on."},
	{api.ReleaseResume, "Go on with a release that was paused or failed", "Go on with a release that was paused or failed, where it stood. A hook that failed is run again, with the same key."},
	{api.ReleaseAbort, "End a release that has not flipped", "End a release that has not flipped: a share of the clients is taken back, and what is staged stays staged."},
	{api.ReleaseRollback, "Take a release back", "Take a release back: new sessions go to the old generation again. 'ebbtide rollback' does the same, and prints the proof."},
	{api.ReleaseNotice, "Tell those who are left on the old generation now", "Run the notice hooks now, for those who are left on the old generation, whether a notice is due or not. Nobody is moved."},
	{api.ReleaseApprove, "Give a gate its approval", "Give a gate that waits for an approval what it waits for. It is good for the state, and the step, that the release is in."},
}

func (c *cli) releaseWord(word, short, long string) *cobra.Command {
	req := api.ReleaseRequest{Do: word}
	var of subject
	cmd := &cobra.Command{
		Use: word + " SERVICE", Short: short, Long: long, Example: "  ebbtide release " + word + " world",
		Args: cobra.ExactArgs(1), ValidArgsFunction: c.completeService,
	}
	switch word {
	case api.ReleaseApprove:
		cmd.Use, cmd.Example, cmd.Args = word+" SERVICE GATE", "  ebbtide release approve world ops", cobra.ExactArgs(2)
		cmd.ValidArgsFunction = c.completeArgs(gates)
	case api.ReleaseNotice:
	default:
		cmd.Use, cmd.Args = word+" SERVICE | --group GROUP", cobra.MaximumNArgs(1)
		of.flag(cmd)
	}
	out := outputFlag(cmd)
	changeFlags(cmd, &req.Act)
	cmd.Flags().Uint32Var(&req.Number, "number", 0, "the release (0: the newest that is not over)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := errors.Join(of.read(args), of.oneOfAGroup(cmd, map[string]string{"number": "name the service of the release"}))
		if req.Service = of.service; len(args) > 1 {
			req.Gate = args[1]
		}
		switch {
		case err != nil:
		case of.group != "":
			err = c.runGroupRelease(cmd.Context(), api.GroupReleaseRequest{Act: req.Act, Group: of.group, Do: word}, waiting{}, *out)
		default:
			var res api.Release
			if res, err = c.client().Release(cmd.Context(), req); err == nil {
				err = c.show(*out, res, func(w io.Writer) { printRelease(w, res) })
			}
		}
		if err != nil {
			return fmt.Errorf("release %s%s: %w", word, of, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) releaseStatus() *cobra.Command {
	var req api.ReleasesRequest
	var of subject
	cmd := &cobra.Command{
		Use:   "status SERVICE | --group GROUP",
		Short: "Say where the releases of a service stand",
		Long: `Say where the releases of SERVICE stand that are not over, and what keeps each there; when none is under way, how the
last one ended. With --number it is about that one. With --group it is about the newest release of each of its services.`,
		Example:           `  ebbtide release status world`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	of.flag(cmd)
	cmd.Flags().Uint32Var(&req.Number, "number", 0, "only this release")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := errors.Join(of.read(args), of.oneOfAGroup(cmd, map[string]string{"number": "name the service of the release"}))
		req.Service = of.service
		switch {
		case err != nil:
		case of.group != "":
			var res api.GroupReleases
			if res, err = c.groupReleases(cmd.Context(), of.group); err == nil {
				err = c.show(*out, res, func(w io.Writer) { printGroupReleases(w, res) })
			}
		default:
			var res api.Releases
			if res, err = c.client().Releases(cmd.Context(), req); err == nil {
				err = c.show(*out, res, func(w io.Writer) { printReleases(w, res) })
			}
		}
		if err != nil {
			return fmt.Errorf("release status%s: %w", of, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) releaseWatch() *cobra.Command {
	var req api.ReleasesRequest
	var timeout time.Duration
	var of subject
	cmd := &cobra.Command{
		Use:   "watch SERVICE | --group GROUP",
		Short: "Follow a release until it is over",
		Long: `Follow a release until it is over: a line whenever it comes into another state or something else keeps it there, with -o
json a line for each progress. Its exit codes are those of 'ebbtide release --wait'. With --group it follows the newest
release of each of its services, until all are over or the first has failed, or was rolled back or aborted.`,
		Example:           `  ebbtide release watch world`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeService,
	}
	out := outputFlag(cmd)
	of.flag(cmd)
	cmd.Flags().Uint32Var(&req.Number, "number", 0, "the release (0: the newest)")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "stop to watch after this long, such as 90s or 2h (default never)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := errors.Join(of.read(args), of.oneOfAGroup(cmd, map[string]string{"number": "name the service of the release"}))
		req.Service = of.service
		switch {
		case err != nil:
		case of.group != "":
			var all api.GroupReleases
			if all, err = c.groupReleases(cmd.Context(), of.group); err == nil {
				err = c.awaitReleases(cmd.Context(), all, timeout, *out)
			}
		default:
			err = c.awaitRelease(cmd.Context(), req, timeout, *out, &sync.Mutex{})
		}
		if err != nil {
			return fmt.Errorf("release watch%s: %w", of, err)
		}
		return nil
	}
	return cmd
}

func (c *cli) runRelease(ctx context.Context, req api.ReleaseRequest, wait waiting, f format) error {
	res, err := c.client().Release(ctx, req)
	if err != nil {
		return err
	}
	if !wait.wait {
		return c.show(f, res, func(w io.Writer) { printRelease(w, res) })
	}
	return c.awaitRelease(ctx, api.ReleasesRequest{Service: res.Service, Number: res.Number}, wait.timeout, f, &sync.Mutex{})
}

// errFailed ends the wait for a release that stands.
var errFailed = errors.New("it failed")

// awaitRelease shows a release until it is over, each progress when it has its turn, and gives nil only when it is done.
func (c *cli) awaitRelease(ctx context.Context, req api.ReleasesRequest, timeout time.Duration, f format, turn sync.Locker) error {
	limited := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var last api.Release
	line := ""
	err := c.client().WatchRelease(limited, req, func(r api.Release) error {
		turn.Lock()
		defer turn.Unlock()
		last = r
		var err error
		if f != asTable {
			err = c.emit(f, r)
		} else if now := releaseLine(r); now != line {
			line = now
			_, err = fmt.Fprintln(c.stdout, now)
		}
		if err == nil && r.State == string(release.Failed) {
			err = errFailed
		}
		return err
	})
	switch {
	case errors.Is(err, errFailed):
		return fmt.Errorf("release %d failed while %s: %s; mend it and resume it, or roll it back or abort it", last.Number, last.StoppedIn, last.Why)
	case err == nil && !last.Done:
		return errors.New("the daemon ended the wait before the release")
	case err == nil && last.State != string(release.Done):
		return exitError{exitEnded, fmt.Errorf("release %d is %s: %s", last.Number, last.State, last.Why)}
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted; the release goes on")
	case limited.Err() != nil:
		return exitError{exitTimeout, fmt.Errorf("release %d is %s after %s; it goes on", last.Number, last.State, timeout)}
	}
	return err
}

// releaseLine is a progress in one line, without what changes by itself each second.
func releaseLine(r api.Release) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: release %d: %s", r.Service, r.Number, r.State)
	if r.StoppedIn != "" {
		fmt.Fprintf(&b, " while %s", r.StoppedIn)
	}
	if r.Steps > 0 && !r.Over {
		fmt.Fprintf(&b, " (%d of %d)", r.Step, r.Steps)
	}
	if r.Flipped != nil && !r.Over {
		fmt.Fprintf(&b, ", %d left", r.Left)
	}
	if r.StoppedIn != "" || r.Over && r.State != string(release.Done) {
		fmt.Fprintf(&b, ": %s", r.Why)
	}
	return b.String()
}

// printReleases shows those that are under way, or the last one that is over.
func printReleases(w io.Writer, res api.Releases) {
	if len(res.Releases) == 0 {
		fmt.Fprintf(w, "%s: no release yet\n", res.Service)
		return
	}
	shown := 0
	for _, r := range res.Releases {
		if !r.Over || len(res.Releases) == 1 {
			printRelease(w, r)
			shown++
		}
	}
	if shown == 0 {
		printRelease(w, res.Releases[len(res.Releases)-1])
	}
}

func printRelease(w io.Writer, r api.Release) {
	fmt.Fprintln(w, releaseLine(r))
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s:\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("strategy", "%s", r.Strategy)
	if r.Group != "" {
		row("group", "%s", r.Group)
	}
	row("from", "%s", nameOf(r.From))
	row("to", "%s", nameOf(r.To))
	row("begun", "%s by %s%s", r.Begun.UTC().Format(time.RFC3339), r.By, inBrackets(r.Reason))
	row("in this state since", "%s", r.Since.UTC().Format(time.RFC3339))
	if r.Waits != "" {
		row("waits", "%s", r.Waits)
	}
	if r.Flipped != nil {
		row("flipped", "%s, with %d sessions on the old generation", r.Flipped.UTC().Format(time.RFC3339), r.AtFlip)
	}
	if r.Deadline != nil && !r.Over {
		row("deadline", "%s", r.Deadline.UTC().Format(time.RFC3339))
	}
	for _, g := range r.Gates {
		row("gate "+g.Gate, "%s (on failure: %s)%s", g.Verdict, g.OnFail, afterColon(g.Detail))
	}
	if r.Notices > 0 {
		row("notices", "%d", r.Notices)
	}
	if len(r.Hooks) > 0 {
		row("hooks to run", "%s", strings.Join(r.Hooks, ", "))
	}
}

func afterColon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// printUnderWay prints nothing where no release is under way.
func printUnderWay(w io.Writer, s api.Status) {
	header := "\nRELEASE\tSTATE\tLEFT\tWAITS\n"
	for _, service := range s.Services {
		for _, r := range service.Releases {
			state := r.State
			if r.StoppedIn != "" {
				state += " while " + r.StoppedIn
			}
			fmt.Fprintf(w, "%s%s %d\t%s\t%d\t%s\n", header, r.Service, r.Number, state, r.Left, orDash(r.Waits))
			header = ""
		}
	}
}

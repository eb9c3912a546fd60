package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// act is a verb on a service, asked about before it is done.
type act struct {
	verb    string
	service string
	live    uint32 // what was live when it was asked about
	// question is what will happen, to how many sessions, with what is known of them now.
	question func(s api.Status, svc api.Service) string
	do       func(ctx context.Context, daemon api.Controller) (string, error)
}

// key is a key and the verb that it begins. begin refuses what makes no sense
// where the service stands.
type key struct {
	press, word string
	begin       func(ctx context.Context, daemon api.Controller, svc api.Service) (act, error)
}

var keys = []key{
	{"f", "flip", beginFlip},
	{"b", "rollback", beginRollback},
	{"r", "release", beginRelease},
	{"p", "pause", word(api.ReleasePause, "Nothing more is begun until it is resumed. Nobody is moved: %d sessions stay where they are, and a deadline goes on.")},
	{"u", "resume", word(api.ReleaseResume, "It goes on where it stood, with %d sessions left on the old generation.")},
	{"a", "abort", word(api.ReleaseAbort, "A share of the clients is taken back, and what is staged stays staged. %d sessions stay where they are.")},
	{"e", "evict", beginEvict},
	{"c", "close", beginClose},
	{"o", "open", beginOpen},
}

// other is the generation in the colour that is not live.
func other(svc api.Service) (api.Generation, bool) {
	for _, g := range svc.Generations {
		if g.Colour != "" && g.Number != svc.Live.Number {
			return g, true
		}
	}
	return api.Generation{}, false
}

func sessionsOf(svc api.Service, generation uint32) uint64 {
	for _, g := range svc.Generations {
		if g.Number == generation {
			return g.Sessions.Total
		}
	}
	return 0
}

func allSessions(svc api.Service) (sum uint64) {
	for _, g := range svc.Generations {
		sum += g.Sessions.Total
	}
	return sum
}

// together are the services that flip with one, itself among them.
func together(s api.Status, svc api.Service) []api.Service {
	if svc.Group == "" {
		return []api.Service{svc}
	}
	return slices.DeleteFunc(slices.Clone(s.Services), func(o api.Service) bool { return o.Group != svc.Group })
}

func beginFlip(_ context.Context, _ api.Controller, svc api.Service) (act, error) {
	to, ok := other(svc)
	if !ok {
		return act{}, errors.New("nothing to flip to: give the idle colour a version in the file and reload, or see ebbtide stage")
	}
	a := act{verb: "flip"}
	a.question = func(s api.Status, svc api.Service) string {
		var b strings.Builder
		for _, m := range together(s, svc) {
			to, _ := other(m)
			fmt.Fprintf(&b, "New sessions of %s go to %s. %s on %s stay until they end by themselves.\n",
				m.Name, to.Name(), count(sessionsOf(m, m.Live.Number)), m.Live.Name())
		}
		return b.String()
	}
	a.do = func(ctx context.Context, daemon api.Controller) (string, error) {
		if svc.Group != "" {
			res, err := daemon.FlipGroup(ctx, api.GroupFlipRequest{Group: svc.Group, To: to.Colour})
			return flipped(res.Members...), err
		}
		res, err := daemon.Flip(ctx, api.FlipRequest{Service: svc.Name, To: to.Colour})
		return flipped(res), err
	}
	return a, nil
}

func beginRollback(_ context.Context, _ api.Controller, svc api.Service) (act, error) {
	a := act{verb: "rollback"}
	a.question = func(s api.Status, svc api.Service) string {
		var b strings.Builder
		for _, m := range together(s, svc) {
			fmt.Fprintf(&b, "New sessions of %s go to the generation that was live before. %s on %s stay until they end by themselves.\n",
				m.Name, count(sessionsOf(m, m.Live.Number)), m.Live.Name())
		}
		return b.String()
	}
	a.do = func(ctx context.Context, daemon api.Controller) (string, error) {
		if svc.Group != "" {
			res, err := daemon.RollbackGroup(ctx, api.GroupRollbackRequest{Group: svc.Group})
			return flipped(res.Members...), err
		}
		res, err := daemon.Rollback(ctx, api.RollbackRequest{Service: svc.Name})
		return flipped(res), err
	}
	return a, nil
}

// flipped is the proof in a line.
func flipped(all ...api.FlipResult) string {
	words := make([]string, len(all))
	for i, r := range all {
		words[i] = fmt.Sprintf("%s: %s is live", r.Service, r.Live.Name())
		if r.Old != nil {
			words[i] += fmt.Sprintf(", new sessions on generation %d since: %d", r.Old.Number, r.NewOnOld)
		}
	}
	return strings.Join(words, "; ")
}

// beginRelease asks the daemon first what a release would do.
func beginRelease(ctx context.Context, daemon api.Controller, svc api.Service) (act, error) {
	plan, err := daemon.PlanRelease(ctx, api.ReleasesRequest{Service: svc.Name})
	if err != nil {
		return act{}, err
	}
	a := act{verb: "release"}
	a.question = func(_ api.Status, svc api.Service) string {
		var b strings.Builder
		fmt.Fprintf(&b, "From %s, with %s, to %s, by the strategy %s:\n", plan.From.Name(), count(sessionsOf(svc, plan.From.Number)), plan.To.Name(), plan.Strategy)
		for _, c := range plan.Checks {
			if !c.OK {
				fmt.Fprintf(&b, "The check %s fails: %s.\n", c.Name, c.Detail)
			}
		}
		for i, s := range plan.Steps {
			fmt.Fprintf(&b, "%d. %s: %s\n", i+1, s.State, s.What)
		}
		return b.String()
	}
	a.do = func(ctx context.Context, daemon api.Controller) (string, error) {
		r, err := daemon.Release(ctx, api.ReleaseRequest{Service: svc.Name, Do: api.ReleaseStart})
		return fmt.Sprintf("%s: release %d has begun", svc.Name, r.Number), err
	}
	return a, nil
}

// word is what a release may be told. What says what comes of it, and has room for a count of sessions.
func word(do, what string) func(context.Context, api.Controller, api.Service) (act, error) {
	return func(_ context.Context, _ api.Controller, svc api.Service) (act, error) {
		if len(svc.Releases) == 0 {
			return act{}, fmt.Errorf("no release of %s is under way", svc.Name)
		}
		number := svc.Releases[len(svc.Releases)-1].Number
		a := act{verb: do}
		a.question = func(_ api.Status, svc api.Service) string {
			for _, r := range svc.Releases {
				if r.Number == number {
					left := r.Left
					if r.Flipped == nil {
						left = sessionsOf(svc, r.From.Number)
					}
					return fmt.Sprintf("Release %d of %s is %s. "+what+"\n", number, svc.Name, r.State, left)
				}
			}
			return fmt.Sprintf("Release %d of %s is over.\n", number, svc.Name)
		}
		a.do = func(ctx context.Context, daemon api.Controller) (string, error) {
			r, err := daemon.Release(ctx, api.ReleaseRequest{Service: svc.Name, Do: do, Number: number})
			return fmt.Sprintf("%s: release %d is %s", svc.Name, r.Number, r.State), err
		}
		return a, nil
	}
}

// How fast sessions are moved: the same as the command line moves them.
const (
	evictBatch   = 50
	evictSeconds = 1
)

func beginEvict(_ context.Context, _ api.Controller, svc api.Service) (act, error) {
	var from api.Generation
	for _, g := range svc.Generations {
		if g.Number != svc.Live.Number && g.State != api.StateCandidate && g.Sessions.Total > from.Sessions.Total {
			from = g
		}
	}
	if from.Number == 0 {
		return act{}, fmt.Errorf("nothing of %s is left on an old generation", svc.Name)
	}
	a := act{verb: "evict"}
	a.question = func(_ api.Status, svc api.Service) string {
		return fmt.Sprintf("%s on %s move to %s with their next packet, %d each second: UDP goes on there, TCP is cut and connects anew. It ends with this screen.\n",
			count(sessionsOf(svc, from.Number)), from.Name(), svc.Live.Name(), evictBatch)
	}
	a.do = func(ctx context.Context, daemon api.Controller) (string, error) {
		var last api.EvictProgress
		err := daemon.Evict(ctx, api.EvictRequest{Service: svc.Name, Generation: from.Number, Batch: evictBatch, EverySeconds: evictSeconds},
			func(p api.EvictProgress) error { last = p; return nil })
		return fmt.Sprintf("%s: of %d sessions %d are marked, %d have moved", svc.Name, last.Found, last.Marked, last.Moved), err
	}
	return a, nil
}

func beginClose(_ context.Context, _ api.Controller, svc api.Service) (act, error) {
	if svc.Closed != "" {
		return act{}, fmt.Errorf("%s is closed already", svc.Name)
	}
	a := act{verb: "close"}
	a.question = func(_ api.Status, svc api.Service) string {
		return fmt.Sprintf("Whoever begins a session of %s is told that it is busy, until it is opened. %s in progress stay.\n", svc.Name, count(allSessions(svc)))
	}
	a.do = func(ctx context.Context, daemon api.Controller) (string, error) {
		_, err := daemon.CloseService(ctx, api.CloseRequest{Service: svc.Name})
		return svc.Name + " is closed", err
	}
	return a, nil
}

func beginOpen(_ context.Context, _ api.Controller, svc api.Service) (act, error) {
	if svc.Closed == "" {
		return act{}, fmt.Errorf("%s is open already", svc.Name)
	}
	a := act{verb: "open"}
	a.question = func(_ api.Status, svc api.Service) string {
		return fmt.Sprintf("New sessions of %s go to %s again. %s in progress stay.\n", svc.Name, svc.Live.Name(), count(allSessions(svc)))
	}
	a.do = func(ctx context.Context, daemon api.Controller) (string, error) {
		_, err := daemon.OpenService(ctx, api.OpenRequest{Service: svc.Name})
		return svc.Name + " is open", err
	}
	return a, nil
}

func count(sessions uint64) string {
	if sessions == 1 {
		return "1 session"
	}
	return fmt.Sprintf("%d sessions", sessions)
}

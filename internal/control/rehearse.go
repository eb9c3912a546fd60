package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/probe"
)

// actRehearse is what a rehearsal changes in the kernel.
const actRehearse = "rehearse"

// Players has the players of a shadow service. [probe.Client] does.
type Players interface {
	Prober
	Open(ctx context.Context, n int) ([]probe.Player, error)
	Exchange(context.Context) ([]probe.Player, error)
	End(ctx context.Context, ids []int) error
	EndAll(context.Context) error
	Forget(context.Context) error
	Served(context.Context) ([]probe.Served, error)
}

// Rehearse goes through a release of a service without a player of it noticing. The candidate is asked over the real VIPs,
// by testers of the daemon's own; flip, drain, notice, migration and rollback are done to a shadow of the service, with
// players and backends of the probe net. Nothing is left, also when it is cut short: the next daemon sees to that.
func (c *Controller) Rehearse(ctx context.Context, req api.RehearseRequest, yield func(api.Rehearsal) error) error {
	r := &rehearsal{Controller: c, yield: yield}
	if err := r.ready(ctx, req); err != nil {
		return err
	}
	if err := r.look(ctx, req.Service); err != nil {
		return err
	}
	if r.flips {
		c.probing.mu.Lock()
		defer c.probing.mu.Unlock()
		if err := r.play(ctx); err != nil {
			return err
		}
	}
	r.out.Done = true
	return yield(r.shown())
}

// rehearsal is one under way.
type rehearsal struct {
	*Controller
	yield   func(api.Rehearsal) error
	players Players
	flips   bool
	act     api.Act
	out     api.Rehearsal
	list    []probe.Player // as they were last
}

// ready refuses what can't be rehearsed.
func (r *rehearsal) ready(ctx context.Context, req api.RehearseRequest) error {
	v, flips, err := r.verify(ctx, api.ReleasesRequest{Service: req.Service})
	if err != nil {
		return err
	}
	r.flips, r.act = flips, api.Act{Reason: req.Reason}
	r.out = api.Rehearsal{Service: v.Service, From: v.From, To: v.To, OK: true, Steps: []api.RehearsalStep{}}
	if r.players = r.probing.players; r.players != nil {
		_, err = r.players.Info(ctx)
	}
	if r.players == nil || errors.Is(err, probe.ErrAbsent) {
		return api.Errorf(api.Refused, "no probe net runs on this host, and it has the players; see ebbtide probenet --help")
	}
	return err
}

// look makes the checks of a release, asks the candidate, and says what the release would do.
func (r *rehearsal) look(ctx context.Context, service string) error {
	plan, err := r.PlanRelease(ctx, api.ReleasesRequest{Service: service})
	if err != nil {
		return err
	}
	r.out.Strategy = plan.Strategy
	checks := plan.Checks
	if r.flips {
		asked, _ := shownChecks(r.probeChecks(ctx, service, r.out.To.Number))
		checks = append(checks, asked...)
	}
	for _, k := range checks {
		if err := r.add(api.RehearsalStep{Name: k.Name, OK: k.OK, Unknown: k.Unknown, Detail: k.Detail}); err != nil {
			return err
		}
	}
	for _, s := range plan.Steps {
		detail := s.What
		if len(s.Hooks) > 0 {
			detail += "; hooks, none of which was run: " + strings.Join(s.Hooks, ", ")
		}
		if err := r.add(api.RehearsalStep{Name: "would " + s.State, OK: true, Unknown: true, Detail: detail}); err != nil {
			return err
		}
	}
	return nil
}

func (r *rehearsal) add(s api.RehearsalStep) error {
	r.out.Steps, r.out.OK = append(r.out.Steps, s), r.out.OK && s.OK
	return r.yield(r.shown())
}

// shown is of its own: what was yielded may be looked at later.
func (r *rehearsal) shown() api.Rehearsal {
	out := r.out
	out.Steps = slices.Clone(out.Steps)
	return out
}

// play does the acts to the shadow. What one of them shows is no error, but a step that is not OK, after which the rest would
// show nothing more.
func (r *rehearsal) play(ctx context.Context) (err error) {
	defer func() {
		err = errors.Join(err, r.end(context.WithoutCancel(ctx)))
	}()
	for _, act := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"shadow", r.cast}, {"sessions", r.arrive}, {"flip", r.flip}, {"drain", r.drain}, {"notice", r.notice},
		{"migrate", r.migrate}, {"drained", r.drained}, {"rollback", r.rollback}, {"logs", r.logs},
	} {
		ok, err := r.try(ctx, act.name, act.do)
		if err != nil || !ok {
			return err
		}
	}
	return nil
}

// try does one act and adds what came of it. An error is of whoever listens.
func (r *rehearsal) try(ctx context.Context, name string, do func(context.Context) (string, error)) (ok bool, err error) {
	began := time.Now()
	detail, failed := do(ctx)
	if failed != nil {
		detail = failed.Error()
	}
	return failed == nil, r.add(api.RehearsalStep{
		Name: name, OK: failed == nil, Detail: detail, Seconds: time.Since(began).Round(time.Millisecond).Seconds(),
	})
}

// end takes the shadow out of the kernel, however far it came.
func (r *rehearsal) end(ctx context.Context) error {
	if err := r.players.EndAll(ctx); err != nil && !errors.Is(err, probe.ErrAbsent) {
		r.log.Error("the players of a rehearsal were not told to leave: they do by themselves", "err", err)
	}
	_, err := r.try(ctx, "clean-up", func(ctx context.Context) (string, error) {
		return "the shadow is out of the kernel, and the program off its interfaces", r.liftShadow(ctx, r.act)
	})
	return err
}

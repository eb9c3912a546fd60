package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/disk"
	"github.com/ebbtide/ebbtide/internal/journal"
	"github.com/ebbtide/ebbtide/internal/release"
	"github.com/ebbtide/ebbtide/internal/schedule"
	"github.com/ebbtide/ebbtide/internal/state"
)

// The verbs that can be scheduled.
const (
	verbFlip      = "flip"
	verbFlipGroup = "flip-group"
	verbRelease   = "release"
)

// What is kept of a schedule.
const (
	mostPending  = 1000
	mostFinished = 20
)

// outcome is what became of something scheduled.
type outcome struct{ state, detail string }

// scheduledBy is the key of who made a request, in the context in which it is done later.
type scheduledBy struct{}

// Schedule keeps a request for later, in the state file. What is impossible now is refused now; whether it is allowed is
// asked when its time has come. Where it goes is settled now: a flip to the other colour would go back if somebody had
// flipped by hand meanwhile.
func (c *Controller) Schedule(ctx context.Context, req api.ScheduleRequest) (api.Scheduled, error) {
	now := c.opt.Now()
	at, err := schedule.ParseAt(req.At, req.TimeZone, now)
	if err != nil {
		return api.Scheduled{}, api.Errorf(api.Usage, "%s", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := state.Scheduled{
		Number: max(1, c.state.NextSchedule), At: at, Grace: req.Grace(), Actor: actorOf(ctx), Made: now.UTC().Round(0),
	}
	if err := c.settle(ctx, &s, req); err != nil {
		return api.Scheduled{}, err
	}
	if err := c.mayBeThen(s, req.Act); err != nil {
		return api.Scheduled{}, err
	}
	next := c.state
	next.Schedule, next.NextSchedule = append(slices.Clone(next.Schedule), s), s.Number+1
	if n := len(pending(next)); n > mostPending {
		return api.Scheduled{}, api.Errorf(api.Refused, "%d acts are scheduled already: take some back", n-1)
	}
	a, err := c.begin(ctx, actSchedule, s.Service, s.Reason, nil, shownScheduled(s))
	if err != nil {
		return api.Scheduled{}, err
	}
	err = c.saveState(next)
	a.end(shownScheduled(s), err)
	c.scheduleChanged()
	return shownScheduled(s), err
}

// settle fills in what is to be done, with the generations that it goes to.
func (c *Controller) settle(ctx context.Context, s *state.Scheduled, req api.ScheduleRequest) error {
	if err := c.there(); err != nil {
		return err
	}
	if req.Release != nil {
		return c.settleRelease(ctx, s, req)
	}
	var services []uint16
	var to string
	var err error
	var request any
	if f := req.Flip; f != nil {
		var service uint16
		if service, err = c.service(f.Service); err == nil {
			err = c.mayGoAlone(f.Service, f.Alone, actFlip)
		}
		f.Act = actOf(f.Act, req.Act)
		services, to, request = []uint16{service}, f.To, f
		s.Verb, s.Service, s.Reason = verbFlip, f.Service, f.Reason
	} else {
		f := req.FlipGroup
		f.Act = actOf(f.Act, req.Act)
		services, err = c.members(f.Group)
		to, request = f.To, f
		s.Verb, s.Group, s.Reason = verbFlipGroup, f.Group, f.Reason
	}
	if err != nil {
		return err
	}
	s.Targets = map[string]uint32{}
	for _, service := range services {
		g, err := c.target(service, to)
		if err != nil {
			return err
		}
		s.Targets[c.image.Services[service].Name] = c.image.Generations[g].Number
	}
	s.Request, err = json.Marshal(request)
	return err
}

func (c *Controller) settleRelease(ctx context.Context, s *state.Scheduled, req api.ScheduleRequest) error {
	what := *req.Release
	what.Act = actOf(what.Act, req.Act)
	service, err := c.service(what.Service)
	if err != nil {
		return err
	}
	r, err := c.draft(ctx, service, what)
	if err == nil {
		err = c.mayReleaseAlone(r, what)
	}
	if err != nil {
		return err
	}
	s.Verb, s.Service, s.Reason, s.Targets = verbRelease, what.Service, what.Reason, map[string]uint32{what.Service: r.To.Number}
	s.Request, err = json.Marshal(what)
	return err
}

// actOf is the act of a request inside another one: its key has had its use.
func actOf(inner, outer api.Act) api.Act {
	return api.Act{Reason: cmp.Or(inner.Reason, outer.Reason), BreakLock: inner.BreakLock || outer.BreakLock}
}

// mayBeThen refuses a time at which a freeze is known to hold.
func (c *Controller) mayBeThen(s state.Scheduled, a api.Act) error {
	for _, name := range slices.Sorted(maps.Keys(s.Targets)) {
		if w, held := c.freezes.Holds(name, s.At); held && !a.BreakLock {
			return api.Errorf(api.Refused, "service %s: frozen at %s, until %s, by the configuration: %s; name another time, or give --break-lock",
				name, s.At.Format(time.RFC3339), w.Until.Format(time.RFC3339), w.Reason)
		}
	}
	return nil
}

// Schedules lists what is scheduled.
func (c *Controller) Schedules(_ context.Context, req api.SchedulesRequest) (api.Schedules, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if req.Service != "" {
		if _, err := c.service(req.Service); err != nil {
			return api.Schedules{}, err
		}
	}
	return api.Schedules{Scheduled: c.scheduled(req.Service)}, nil
}

// Unschedule takes back what is pending.
func (c *Controller) Unschedule(ctx context.Context, req api.UnscheduleRequest) (api.Schedules, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := api.Schedules{Scheduled: []api.Scheduled{}}
	for _, s := range pending(c.state) {
		if s.Number != req.Number && (req.Service == "" || !concerns(s, req.Service)) {
			continue
		}
		a, err := c.begin(ctx, actUnschedule, s.Service, req.Reason, shownScheduled(s), nil)
		if err != nil {
			return out, err
		}
		done, err := c.finish(s.Number, api.ScheduledTakenBack, "by "+actorOf(ctx).String())
		a.end(nil, err)
		if err != nil {
			return out, err
		}
		out.Scheduled = append(out.Scheduled, done)
	}
	c.scheduleChanged()
	switch {
	case len(out.Scheduled) > 0:
		return out, nil
	case req.Service != "":
		return out, api.Errorf(api.NotFound, "service %s: nothing is scheduled", req.Service)
	}
	return out, api.Errorf(api.NotFound, "number %d: it is not scheduled, or over", req.Number)
}

func (c *Controller) scheduleChanged() {
	select {
	case c.later <- struct{}{}:
	default:
	}
}

// scheduleLoop does what is scheduled when its time comes.
func (c *Controller) scheduleLoop(ctx context.Context) error {
	return schedule.Loop(ctx, c.opt.Now, c.later, func() (time.Time, bool) {
		for {
			s, there := c.first()
			if !there || schedule.At(c.opt.Now(), s.At, s.Grace) == schedule.Early {
				return s.At, there
			}
			if err := c.doScheduled(ctx, s); err != nil { // it is still pending: as long as its grace lasts it is tried again
				c.log.Error("what was scheduled could not be noted", "number", s.Number, "err", err)
				return c.opt.Now().Add(time.Minute), true
			}
		}
	})
}

// first is what is to be done next.
func (c *Controller) first() (state.Scheduled, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := pending(c.state)
	if c.gone || len(list) == 0 {
		return state.Scheduled{}, false
	}
	return slices.MinFunc(list, byTime), true
}

// doScheduled does one, whose time has come, and notes what became of it. One whose grace is over is only noted as missed.
// No reload comes in between: the generation that is found is the one that goes live.
func (c *Controller) doScheduled(ctx context.Context, s state.Scheduled) error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	ctx = context.WithValue(ctx, scheduledBy{}, s.Actor)
	c.mu.Lock()
	if list := pending(c.state); !slices.ContainsFunc(list, func(p state.Scheduled) bool { return p.Number == s.Number }) {
		c.mu.Unlock()
		return nil // taken back meanwhile
	}
	if o, known := c.outcomes[s.Number]; known { // done, and could not be noted: nobody wants it done again
		defer c.mu.Unlock()
		_, err := c.finish(s.Number, o.state, o.detail)
		return err
	}
	made := c.reached(s)
	if !made && schedule.At(c.opt.Now(), s.At, s.Grace) == schedule.Missed {
		defer c.mu.Unlock()
		detail := fmt.Sprintf("not done: by %s it was later than its grace of %s", c.opt.Now().UTC().Format(time.RFC3339), s.Grace)
		e := journal.Event{Actor: journal.Actor{Daemon: true}, Act: actMissed, Stage: journal.Note, Service: s.Service, Reason: detail}
		if _, err := c.journal(e, nil, shownScheduled(s)); err != nil {
			return err
		}
		c.log.Warn("scheduled, and missed", "number", s.Number, "what", whatOf(s), "at", s.At)
		_, err := c.finish(s.Number, api.ScheduledMissed, detail)
		return err
	}
	a, err := c.begin(ctx, actScheduled, s.Service, s.Reason, nil, shownScheduled(s))
	c.mu.Unlock()
	if err != nil {
		return err
	}
	detail := "it was so already"
	var failed error
	if !made {
		detail, failed = c.carryOutScheduled(ctx, s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.end(nil, failed)
	if disk.Is(failed) { // nothing was done of it
		return failed
	}
	became := api.ScheduledDone
	if failed != nil {
		became, detail = api.ScheduledFailed, failed.Error()
		c.log.Error("scheduled, and failed", "number", s.Number, "what", whatOf(s), "err", failed)
	}
	c.outcomes[s.Number] = outcome{became, detail}
	_, err = c.finish(s.Number, became, detail)
	return err
}

// reached says whether every generation is live that shall be, or the release has begun.
func (c *Controller) reached(s state.Scheduled) bool {
	if s.Verb == verbRelease {
		return slices.ContainsFunc(c.state.Services[s.Service].Releases, func(r release.Record) bool {
			return r.To.Number == s.Targets[s.Service] && !r.Begun.Before(s.At)
		})
	}
	for name, number := range s.Targets {
		service, ok := c.image.ServiceNamed(name)
		if !ok || c.image.Generations[c.image.Services[service].Steer.Live].Number != number {
			return false
		}
	}
	return true
}

// carryOutScheduled makes the request as its maker would now.
func (c *Controller) carryOutScheduled(ctx context.Context, s state.Scheduled) (string, error) {
	to, err := c.coloursOf(s)
	if err != nil {
		return "", err
	}
	switch s.Verb {
	case verbFlip:
		var req api.FlipRequest
		if err := json.Unmarshal(s.Request, &req); err != nil {
			return "", err
		}
		req.To = to[s.Service]
		res, err := c.Flip(ctx, req)
		return fmt.Sprintf("%d new sessions on the old generation since", res.NewOnOld), err
	case verbFlipGroup:
		var req api.GroupFlipRequest
		if err := json.Unmarshal(s.Request, &req); err != nil {
			return "", err
		}
		return c.flipGroupTo(ctx, req, to)
	case verbRelease:
		var req api.ReleaseRequest
		if err := json.Unmarshal(s.Request, &req); err != nil {
			return "", err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		r, err := c.sayToRelease(ctx, req, s.Targets[s.Service])
		return fmt.Sprintf("release %d has begun", r.Number), err
	}
	return "", fmt.Errorf("scheduled is %q, which this ebbtide does not know", s.Verb)
}

// flipGroupTo refuses a group that has others in it than when it was scheduled.
func (c *Controller) flipGroupTo(ctx context.Context, req api.GroupFlipRequest, to map[string]string) (string, error) {
	c.mu.Lock()
	members, err := c.members(req.Group)
	names := map[string]bool{}
	for _, m := range members {
		names[c.image.Services[m].Name] = true
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		return "", err
	case !maps.EqualFunc(names, to, func(bool, string) bool { return true }):
		return "", api.Errorf(api.Refused, "group %s: other services are in it than when it was scheduled", req.Group)
	}
	res, err := c.flipGroup(ctx, req, to)
	return fmt.Sprintf("%d services, %s from the first store to the last", len(res.Members), time.Duration(res.ApartNanos)), err
}

// coloursOf finds the generations that were meant. One that is staged no longer is not replaced by another.
func (c *Controller) coloursOf(s state.Scheduled) (map[string]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	for name, number := range s.Targets {
		service, err := c.service(name)
		if err != nil {
			return nil, err
		}
		g := c.generationNumbered(service, number)
		ref := c.ref(g)
		if g == 0 || ref.Colour == "" {
			return nil, api.Errorf(api.Refused, "service %s: generation %d, which was to go live, is in no pool any more", name, number)
		}
		out[name] = ref.Colour
	}
	return out, nil
}

// finish notes what became of a scheduled act, and forgets the oldest of those that are over.
func (c *Controller) finish(number uint64, outcome, detail string) (api.Scheduled, error) {
	next := c.state
	next.Schedule = slices.Clone(next.Schedule)
	var shown api.Scheduled
	over := 0
	for i := range next.Schedule {
		s := &next.Schedule[i]
		if s.Number == number {
			s.Outcome, s.Detail, s.Finished = outcome, detail, c.opt.Now().UTC().Round(0)
			shown = shownScheduled(*s)
		}
		if s.Outcome != "" {
			over++
		}
	}
	next.Schedule = slices.DeleteFunc(next.Schedule, func(s state.Scheduled) bool {
		old := s.Outcome != "" && over > mostFinished
		if old {
			over--
		}
		return old
	})
	err := c.saveState(next)
	if err == nil {
		delete(c.outcomes, number)
	}
	c.changed()
	return shown, err
}

func pending(s state.State) (out []state.Scheduled) {
	for _, p := range s.Schedule {
		if p.Outcome == "" {
			out = append(out, p)
		}
	}
	return out
}

func concerns(s state.Scheduled, service string) bool {
	_, does := s.Targets[service]
	return does
}

func byTime(a, b state.Scheduled) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Number, b.Number))
}

// scheduled lists those of a service, "" for all, in the order of their times.
func (c *Controller) scheduled(service string) []api.Scheduled {
	out := []api.Scheduled{}
	for _, s := range slices.SortedFunc(slices.Values(c.state.Schedule), byTime) {
		if service == "" || concerns(s, service) {
			out = append(out, shownScheduled(s))
		}
	}
	return out
}

func shownScheduled(s state.Scheduled) api.Scheduled {
	out := api.Scheduled{
		Number: s.Number, Service: s.Service, Group: s.Group, What: whatOf(s), At: s.At, GraceSeconds: s.Grace.Seconds(),
		By: s.Actor.String(), Reason: s.Reason, Made: s.Made, State: cmp.Or(s.Outcome, api.ScheduledPending), Detail: s.Detail,
	}
	if !s.Finished.IsZero() {
		out.Finished = &s.Finished
	}
	return out
}

// whatOf says what is to be done.
func whatOf(s state.Scheduled) string {
	switch s.Verb {
	case verbRelease:
		return fmt.Sprintf("release of generation %d", s.Targets[s.Service])
	case verbFlip:
		return fmt.Sprintf("flip to generation %d", s.Targets[s.Service])
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.Targets)) {
		parts = append(parts, fmt.Sprintf("%s to generation %d", name, s.Targets[name]))
	}
	return "flip " + strings.Join(parts, ", ")
}

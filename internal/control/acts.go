package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	osuser "os/user"
	"strconv"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// The acts that the journal knows, besides those of the journal itself.
const (
	actFlip      = "flip"
	actRollback  = "rollback"
	actShare     = "share"
	actTesters   = "testers"
	actEvict     = "evict"
	actStage     = "stage"
	actReload    = "reload"
	actStart     = "start" // of a daemon that found its configuration file changed
	actDetach    = "detach"
	actLock      = "lock"
	actClose     = "close"
	actOpen      = "open"
	actUnlock    = "unlock"
	actBreakLock = "break-lock"
	actDrained   = "drained"
	actGate      = "gate"
	actHook      = "hook"
	actRelease   = "release" // a transition of one, with the record as it is then
	actAnswer    = "answer"  // what a request with a key was answered

	actSchedule   = "schedule"
	actUnschedule = "unschedule"
	actScheduled  = "scheduled" // its time has come
	actMissed     = "missed"    // its time has come while nobody was there
)

// act is something that the journal says has begun.
type act struct {
	c     *Controller
	event journal.Event
}

// begin puts an act into the journal, on disk, before anything of it is done. Before and after are what it changes.
func (c *Controller) begin(ctx context.Context, what, service, reason string, before, after any) (*act, error) {
	c.step(what + ": journal")
	e, err := c.journal(journal.Event{
		Actor: actorOf(ctx), Act: what, Stage: journal.Begun, Service: service, Reason: reason, Key: keyOf(ctx),
	}, before, after)
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was changed", err)
	}
	hasBegun(ctx, e.Seq)
	return &act{c, e}, nil
}

// end says what came of it. An end that can't be written now is written later; where the daemon ends before, the act is one
// that was cut short, and the next daemon finds out.
func (a *act) end(after any, err error) {
	e := journal.Event{Actor: a.event.Actor, Act: a.event.Act, Stage: journal.Done, Of: a.event.Seq, Service: a.event.Service}
	if err != nil {
		e.Stage, e.Reason, after = journal.Failed, err.Error(), nil
	}
	a.c.step(a.event.Act + ": journal, end")
	a.c.tell(e, nil, after)
}

func raw(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}

// nobody is the user number of who is none of this host's users.
const nobody = 65534

// actorOf is who asked, or the daemon itself.
func actorOf(ctx context.Context) journal.Actor {
	if a, ok := ctx.Value(scheduledBy{}).(journal.Actor); ok {
		return a
	}
	if c, ok := api.CallerOf(ctx); ok {
		return journal.Actor{User: c.Name, UID: nobody, Via: c.Via, Serial: c.Serial, From: c.From}
	}
	peer, ok := api.PeerOf(ctx)
	if !ok {
		return journal.Actor{Daemon: true}
	}
	a := journal.Actor{UID: peer.UID, PID: peer.PID, User: strconv.FormatUint(uint64(peer.UID), 10)}
	if u, err := osuser.LookupId(a.User); err == nil {
		a.User = u.Username
	}
	return a
}

// conclude ends the acts that a killed daemon had begun: what the kernel has now says what became of them.
func (c *Controller) conclude() {
	c.endLeft()
	for _, e := range c.opt.Journal.Unfinished() {
		end := journal.Event{Actor: journal.Actor{Daemon: true}, Act: e.Act, Of: e.Seq, Service: e.Service}
		end.Stage, end.Reason = c.became(e)
		c.step("resume: journal")
		c.tell(end, nil, nil)
		c.log.Info("a crash had cut an act short", "act", e.Act, "service", e.Service, "number", e.Seq, "stage", end.Stage, "what", end.Reason)
	}
}

// became says how an act ended that nobody saw the end of.
func (c *Controller) became(e journal.Event) (journal.Stage, string) {
	switch made, known := c.made(e); {
	case !known && e.Act == actReload:
		return journal.Failed, "a crash cut it short; a daemon's start applies the file"
	case !known && e.Act == actHook:
		return journal.Failed, "a crash cut it short: it is run again, with the same key"
	case !known:
		return journal.Failed, "a crash cut it short"
	case made:
		return journal.Done, "a crash hid its end: the kernel has what it was to change"
	}
	return journal.Failed, "a crash cut it short before its change"
}

// made says whether the kernel has what an act was to change, where that can be told.
func (c *Controller) made(e journal.Event) (made, known bool) {
	service, ok := c.image.ServiceNamed(e.Service)
	if !ok {
		return false, false
	}
	switch e.Act {
	case actFlip, actRollback:
		var want liveIs
		if json.Unmarshal(e.After, &want) != nil {
			return false, false
		}
		return want.Live == c.liveNow(service).Live, true
	case actShare:
		return same(e.After, c.shareNow(service))
	case actClose, actOpen:
		return same(e.After, closedOf(c.image.Services[service]))
	case actTesters:
		var want testersAre
		if json.Unmarshal(e.After, &want) != nil {
			return false, false
		}
		return want.Digest == c.testersNow(service).Digest, true
	}
	return false, false
}

// same says whether v is what was written.
func same[T comparable](text json.RawMessage, v T) (equal, known bool) {
	var was T
	if err := json.Unmarshal(text, &was); err != nil {
		return false, false
	}
	return was == v, true
}

// History implements api.Controller.
func (c *Controller) History(ctx context.Context, req api.HistoryRequest, yield func(journal.Event) error) error {
	seen := uint64(0)
	for first := true; ; first = false {
		events, more, err := c.events(req, seen)
		if err != nil {
			return err
		}
		if n := int(req.Last); first && n > 0 && len(events) > n {
			events = events[len(events)-n:]
		}
		for _, e := range events {
			if err := yield(e); err != nil {
				return err
			}
			seen = e.Seq
		}
		if !req.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-more:
		}
	}
}

// events are those wanted after a number.
func (c *Controller) events(req api.HistoryRequest, after uint64) (out []journal.Event, more <-chan struct{}, err error) {
	more, err = c.opt.Journal.Read(after, func(e journal.Event) error {
		if req.Wants(e) {
			out = append(out, e)
		}
		return nil
	})
	if errors.Is(err, journal.ErrTorn) {
		err = nil // a line that is being written
	}
	return out, more, err
}

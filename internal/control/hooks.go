package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// hookIs is what the journal says of a hook that begins.
type hookIs struct {
	Key        string `json:"key"`
	Hook       string `json:"hook"` // without arguments and query
	Transition string `json:"transition"`
	Release    uint32 `json:"release"`
	Left       int    `json:"left,omitempty"` // how many flows a notice names
}

// hookCame is what the journal says of one that has ended, well or not.
type hookCame struct {
	hookIs
	Attempts   int     `json:"attempts"`
	ExitCode   int     `json:"exit_code"`
	Signal     string  `json:"signal,omitempty"`
	HTTPStatus int     `json:"http_status,omitempty"`
	Output     string  `json:"output,omitempty"`
	Seconds    float64 `json:"seconds"`
}

// hookRuns runs hooks, and knows from the journal which have succeeded. Its zero value is ready.
type hookRuns struct {
	mu   sync.Mutex // guards what follows
	run  func(context.Context, config.Hook, hook.Call) hook.Result
	done map[string]map[uint32]map[string]bool // keys by service and release; nil: the journal has not been read
}

// A service's releases whose keys are remembered: a few more than can be under way.
const releasesKept = 8

// runHooks runs a transition's hooks, one after the other, and ends with the first that fails. Those that have succeeded
// under the call's key are not run again, neither now nor by the next daemon; so the key names the transition, and which
// one it is if a release has several; the hook itself adds what it does. No lock may be held: a hook takes what time it takes.
func (c *Controller) runHooks(ctx context.Context, hooks []config.Hook, call hook.Call) error {
	base, seen := call.Key, map[string]int{}
	for _, h := range hooks {
		call.Key = keyOfHook(base, h, seen)
		if err := c.runOneHook(ctx, h, call); err != nil {
			return err
		}
	}
	return nil
}

// keyOfHook names a hook by what it does, not by its place: a reload in the middle of a transition may give it another one.
// Seen counts those before it in the list, for two that do the same are two.
func keyOfHook(base string, h config.Hook, seen map[string]int) string {
	digest := sha256.New()
	for _, word := range append([]string{h.Webhook.URL}, h.Exec...) { // no word has a NUL in it
		digest.Write(append([]byte(word), 0))
	}
	key := base + "/" + hex.EncodeToString(digest.Sum(nil)[:8])
	if seen[key]++; seen[key] > 1 {
		return fmt.Sprintf("%s/%d", key, seen[key])
	}
	return key
}

// runOneHook runs one hook between two events of the journal, unless it is known to have succeeded. When only the second one
// can't be written, the hook has run: the next daemon runs it again, with the same key.
func (c *Controller) runOneHook(ctx context.Context, h config.Hook, call hook.Call) error {
	run, ran, err := c.hooks.look(c.opt.Journal, call)
	if err != nil || ran {
		return err
	}
	is := hookIs{call.Key, h.String(), call.Transition, call.Release, len(call.Left)}
	a, err := c.begin(ctx, actHook, call.Service, fmt.Sprintf("%s of release %d: %s", is.Transition, is.Release, is.Hook), nil, is)
	if err != nil {
		return err
	}
	c.step("hook: run")
	began := c.opt.Now()
	res := run(ctx, h, call)
	c.traceHook(call, is, began, res)
	if res.Err == nil {
		c.hooks.succeeded(call.Service, call.Release, call.Key)
	}
	a.came(hookCame{is, res.Attempts, res.ExitCode, res.Signal, res.HTTPStatus, res.Output, res.Took.Seconds()}, res.Err)
	return res.Err
}

// endLeft ends what a hook had started that was running when its daemon was killed: it is run again, and not beside itself.
func (c *Controller) endLeft() {
	var keys []string
	for _, e := range c.opt.Journal.Unfinished() {
		var is hookIs
		if e.Act == actHook && json.Unmarshal(e.After, &is) == nil {
			keys = append(keys, is.Key)
		}
	}
	if n := hook.EndLeft(keys); n > 0 {
		c.log.Info("a killed daemon's hooks had left processes behind, which were ended", "processes", n)
	}
}

// came is end for what has something to tell of a failure, too.
func (a *act) came(what any, err error) {
	e := journal.Event{Actor: a.event.Actor, Act: a.event.Act, Stage: journal.Done, Of: a.event.Seq, Service: a.event.Service}
	if err != nil {
		e.Stage, e.Reason = journal.Failed, err.Error()
	}
	a.c.step(a.event.Act + ": journal, end")
	a.c.tell(e, nil, what)
}

// look says how hooks are run, and whether this one needs to be.
func (r *hookRuns) look(j *journal.Journal, call hook.Call) (run func(context.Context, config.Hook, hook.Call) hook.Result, ran bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == nil {
		r.run = hook.NewRunner(hook.Options{}).Run
	}
	if r.done == nil {
		if err := r.read(j); err != nil {
			return nil, false, fmt.Errorf("find out which hooks have run: %w", err)
		}
	}
	return r.run, r.done[call.Service][call.Release][call.Key], nil
}

// read finds those that succeeded in the journal.
func (r *hookRuns) read(j *journal.Journal) error {
	r.done = map[string]map[uint32]map[string]bool{}
	_, err := j.Read(0, func(e journal.Event) error {
		if e.Act != actHook || e.Stage != journal.Done {
			return nil
		}
		var came hookCame
		if err := json.Unmarshal(e.After, &came); err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		r.add(e.Service, came.Release, came.Key)
		return nil
	})
	if err != nil && !errors.Is(err, journal.ErrTorn) { // a torn line is one that is being written
		r.done = nil
		return err
	}
	return nil
}

func (r *hookRuns) succeeded(service string, release uint32, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(service, release, key)
}

// add remembers a key, and forgets those of releases that are long over.
func (r *hookRuns) add(service string, release uint32, key string) {
	releases := r.done[service]
	if releases == nil {
		releases = map[uint32]map[string]bool{}
		r.done[service] = releases
	}
	if releases[release] == nil {
		releases[release] = map[string]bool{}
	}
	releases[release][key] = true
	for old := range releases {
		if old+releasesKept <= release {
			delete(releases, old)
		}
	}
}

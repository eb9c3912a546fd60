package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// How long the key of a request is kept, how many are at most (the newest), and the largest answer that is.
const (
	keyAge    = 24 * time.Hour
	mostKeys  = 10_000
	maxAnswer = 4 << 10
)

// keys are those of the requests that were begun or done. The journal has them, too.
type keys struct {
	mu   sync.Mutex
	kept map[string]kept
}

// kept is what came of a request.
type kept struct {
	answerIs
	at      time.Time
	running bool
	begun   uint64 // number of the event, of one that has no answer
}

// answerIs is an answer as the journal has it: of one that was too large, only that there was one.
type answerIs struct {
	Verb   string          `json:"verb"`
	Digest string          `json:"digest"` // of the request
	Code   api.Code        `json:"code,omitempty"`
	Error  string          `json:"error,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
	Large  bool            `json:"large,omitempty"`
}

// Once implements api.Keeper. The answer is in the journal before anybody gets it.
func (c *Controller) Once(ctx context.Context, k api.Keyed, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	if was, done := c.keys.take(k, c.opt.Now()); done {
		return was.again(k)
	}
	call := &keyedCall{key: k.Key}
	var answer json.RawMessage
	err := errors.New("it was not done to its end")
	defer func() { c.answered(ctx, k, call, answer, err) }() // whatever became of it: a key is not left running
	answer, err = do(context.WithValue(ctx, keyedCallKey{}, call))
	return answer, err
}

// take finds a key, or takes it.
func (s *keys) take(k api.Keyed, now time.Time) (kept, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, there := s.kept[k.Key]; there && (was.running || now.Sub(was.at) < keyAge) {
		return was, true
	}
	s.put(k.Key, kept{answerIs: answerIs{Verb: k.Verb, Digest: k.Digest}, at: now, running: true})
	return kept{}, false
}

// put keeps a key. The lock is held.
func (s *keys) put(key string, is kept) {
	if s.kept == nil {
		s.kept = map[string]kept{}
	}
	s.kept[key] = is
	if len(s.kept) > mostKeys {
		s.forget(is.at)
	}
}

// forget drops the keys that are too old, and then the older half: it is not to be asked for with each key.
func (s *keys) forget(now time.Time) {
	maps.DeleteFunc(s.kept, func(_ string, was kept) bool { return !was.running && now.Sub(was.at) >= keyAge })
	if len(s.kept) <= mostKeys {
		return
	}
	var ages []time.Time
	for _, was := range s.kept {
		ages = append(ages, was.at)
	}
	slices.SortFunc(ages, time.Time.Compare)
	middle := ages[len(ages)/2]
	maps.DeleteFunc(s.kept, func(_ string, was kept) bool { return !was.running && was.at.Before(middle) })
}

// again answers a request whose key was given before.
func (was kept) again(k api.Keyed) (json.RawMessage, error) {
	switch {
	case was.begun != 0:
		return nil, api.Errorf(api.Refused, "key %q: its request began with event %d of the journal, and a crash hid the answer; 'ebbtide history' says what became of it; use another key", k.Key, was.begun)
	case was.Verb != k.Verb || was.Digest != k.Digest:
		return nil, api.Errorf(api.Refused, "key %q: another request came with it, a %s; use another key", k.Key, was.Verb)
	case was.running:
		return nil, api.Errorf(api.Unavailable, "key %q: its request is under way; ask again", k.Key)
	case was.Code != "":
		return nil, api.Errorf(was.Code, "%s", was.Error)
	case was.Large:
		return nil, api.Errorf(api.Refused, "key %q: its request was done, with an answer too large to be kept", k.Key)
	}
	return was.Answer, nil
}

// answered keeps what came of a request. What was refused before anything began leaves the key free.
func (c *Controller) answered(ctx context.Context, k api.Keyed, call *keyedCall, answer json.RawMessage, err error) {
	is := answerIs{Verb: k.Verb, Digest: k.Digest, Answer: answer}
	if len(answer) > maxAnswer {
		is.Answer, is.Large = nil, true
	}
	if err != nil {
		is.Answer, is.Code, is.Error = nil, api.Failed, err.Error()
		if e := (*api.Error)(nil); errors.As(err, &e) {
			is.Code = e.Code
		}
	}
	free := err != nil && call.begun.Load() == 0
	if !free {
		c.step("answer: journal")
		e := journal.Event{Actor: actorOf(ctx), Act: actAnswer, Stage: journal.Note, Key: k.Key}
		c.tell(e, nil, is)
	}
	c.keys.mu.Lock()
	defer c.keys.mu.Unlock()
	if free {
		delete(c.keys.kept, k.Key)
		return
	}
	c.keys.put(k.Key, kept{answerIs: is, at: c.opt.Now()})
}

// loadKeys reads those of the journal.
func (c *Controller) loadKeys() error {
	c.keys.mu.Lock()
	defer c.keys.mu.Unlock()
	oldest := c.opt.Now().Add(-keyAge)
	_, err := c.opt.Journal.Read(0, func(e journal.Event) error {
		if e.Key == "" || e.Time.Before(oldest) {
			return nil
		}
		is := kept{at: e.Time, begun: e.Seq}
		if e.Act == actAnswer {
			is.begun = 0
			if err := json.Unmarshal(e.After, &is.answerIs); err != nil {
				return fmt.Errorf("event %d of the journal: %w", e.Seq, err)
			}
		}
		c.keys.put(e.Key, is)
		return nil
	})
	return err
}

// keyedCall is a request with a key while it is done.
type keyedCall struct {
	key   string
	begun atomic.Uint64 // number of an event, 0 while nothing has begun
}

type keyedCallKey struct{}

// keyOf is the key that a call came with, "" for none.
func keyOf(ctx context.Context) string {
	if call, ok := ctx.Value(keyedCallKey{}).(*keyedCall); ok {
		return call.key
	}
	return ""
}

// hasBegun says that something of a call has begun, with an event.
func hasBegun(ctx context.Context, event uint64) {
	if call, ok := ctx.Value(keyedCallKey{}).(*keyedCall); ok {
		call.begun.Store(event)
	}
}

// Package hook runs what operators hang on the transitions of a release: a program, or a webhook.
//
// A hook is run at least once. What it is told carries a key that stays the same over retries and over restarts of the
// daemon, so that whoever must not act twice can tell.
package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Options of a runner; the zero value has the defaults.
type Options struct {
	Grace   time.Duration                    // what a program has between SIGTERM and SIGKILL; 0: 5s
	Backoff func(attempts int) time.Duration // the pause after so many attempts; nil: 1s, and twice as long each time up to 1m
}

// Runner runs hooks. It may be used by several goroutines at once, and writes no file.
type Runner struct {
	opt    Options
	client *http.Client
}

// NewRunner makes one. There is nothing to close.
func NewRunner(opt Options) *Runner {
	if opt.Grace == 0 {
		opt.Grace = 5 * time.Second
	}
	if opt.Backoff == nil {
		opt.Backoff = backoff
	}
	return &Runner{opt, newClient()}
}

const maxBackoff = time.Minute

func backoff(attempts int) time.Duration {
	if attempts > 6 {
		return maxBackoff
	}
	return min(maxBackoff, time.Second<<(attempts-1))
}

// Result is what came of a hook: of its last attempt, but for Attempts and Took.
type Result struct {
	Attempts   int
	ExitCode   int    // of a program; -1 when it did not exit by itself
	Signal     string // that ended a program
	HTTPStatus int    // of a webhook; 0 when there was no answer
	Output     string // of a program or an answer: its beginning and its end
	Took       time.Duration
	Err        error // nil: it succeeded
}

// outcome is what came of one attempt.
type outcome struct {
	exit   int
	signal string
	status int
	output string
	err    error
	final  bool // another attempt would end the same way
}

// Run runs a hook until it succeeds, its retries are used up, or the context ends: then what runs is ended as by a timeout,
// and the error is the context's cause.
func (r *Runner) Run(ctx context.Context, h config.Hook, call Call) Result {
	began := time.Now()
	if call.Backends == nil {
		call.Backends = []string{} // a list to those who read JSON, too
	}
	if call.Left == nil {
		call.Left = []Left{}
	}
	body, err := json.Marshal(call)
	if err != nil {
		return Result{Err: fmt.Errorf("hook %s: %w", h, err)}
	}
	var res Result
	for {
		res.Attempts++
		o := r.attempt(ctx, h, call, body, res.Attempts)
		res.ExitCode, res.Signal, res.HTTPStatus, res.Output, res.Err = o.exit, o.signal, o.status, o.output, o.err
		if o.err == nil || o.final || res.Attempts > h.Retries || !pause(ctx, r.opt.Backoff(res.Attempts)) {
			break
		}
	}
	res.Took = time.Since(began)
	if res.Err != nil {
		res.Err = fmt.Errorf("hook %s, attempt %d of %d: %w", h, res.Attempts, 1+h.Retries, res.Err)
	}
	return res
}

func (r *Runner) attempt(ctx context.Context, h config.Hook, call Call, body []byte, n int) outcome {
	limited, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("it took longer than its timeout of %s", h.Timeout))
	defer cancel()
	if len(h.Exec) > 0 {
		return r.program(limited, h, call, body, n)
	}
	return r.post(limited, h, call, body, n)
}

// pause is false when the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

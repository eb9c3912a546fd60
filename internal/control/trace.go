package control

import (
	"context"
	"errors"
	"os"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/loader"
	"github.com/ebbtide/ebbtide/loader/trace"
)

// errReplaced ends a trace whose program is being replaced.
var errReplaced = errors.New("the program was replaced by an upgrade")

// tracing is the trace that runs.
type tracing struct {
	*trace.Trace
	interfaces []string
	end        context.CancelCauseFunc
}

// Trace yields what the program does with packets. While it runs the tracer has the program's place on every interface, so
// that nobody pays for it at any other time.
func (c *Controller) Trace(ctx context.Context, req api.TraceRequest, yield func(api.Traced) error) error {
	view, err := c.newTraceView(req)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	t, err := c.beginTrace(ctx, trace.Options{Client: view.client, Sample: req.Sample, Rate: req.Rate, For: req.For()}, end)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, t.Interrupt)()
	reason, err := c.followTrace(ctx, t, view, yield)
	counts, failed := t.Counts()
	if err := errors.Join(err, failed, c.endTrace(t)); err != nil {
		return err
	}
	return yield(api.Traced{End: &api.TraceEnd{
		Reason: reason, Shown: view.shown, Matched: counts.Matched, SampledOut: counts.SampledOut, OverRate: counts.OverRate,
		Lost: counts.Lost, Others: view.others,
	}})
}

// beginTrace loads the tracer, which takes the verifier's time and holds nobody up, and puts it in the program's place.
func (c *Controller) beginTrace(ctx context.Context, opt trace.Options, end context.CancelCauseFunc) (*tracing, error) {
	tracer, err := c.reserveTrace(end)
	if err != nil {
		return nil, err
	}
	t, err := tracer.Load(opt)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = errors.Join(c.there(), context.Cause(ctx))
	}
	if err == nil {
		err = c.plane.Trace(t)
	}
	if err != nil && t != nil {
		err = errors.Join(err, t.Close())
	}
	if errors.Is(err, errReplaced) {
		err = api.Errorf(api.Unavailable, "%v: ask again", errReplaced)
	}
	if err != nil {
		c.tracing = nil
		return nil, err
	}
	c.tracing.Trace = t
	return c.tracing, nil
}

// reserveTrace refuses all traces but one.
func (c *Controller) reserveTrace(end context.CancelCauseFunc) (*loader.Tracer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.there(); err != nil {
		return nil, err
	}
	if c.tracing != nil {
		return nil, api.Errorf(api.Refused, "another trace runs: one does at a time")
	}
	attached, err := c.plane.Attached()
	if err != nil {
		return nil, err
	}
	tracer, err := c.plane.Tracer()
	if errors.Is(err, loader.ErrOtherBuild) {
		return nil, api.Errorf(api.Refused, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	c.tracing = &tracing{interfaces: names(attached), end: end}
	return tracer, nil
}

// endTrace gives the program its place back, unless an upgrade has done so.
func (c *Controller) endTrace(t *tracing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracing = nil
	var err error
	if !c.gone {
		err = c.plane.Untrace()
	}
	return errors.Join(err, t.Close())
}

// replaceTraced ends a trace before the program is replaced. The lock is held.
func (c *Controller) replaceTraced() {
	if c.tracing != nil {
		c.tracing.end(errReplaced)
	}
}

// followTrace yields packets until the trace ends, and says why it did.
func (c *Controller) followTrace(ctx context.Context, t *tracing, view *traceView, yield func(api.Traced) error) (string, error) {
	if err := yield(api.Traced{Begun: &api.TraceBegun{Interfaces: t.interfaces}}); err != nil {
		return "", err
	}
	for {
		e, err := t.Next()
		cause := context.Cause(ctx)
		switch replaced := errors.Is(cause, errReplaced); {
		case cause != nil && !replaced:
			return "", cause
		case replaced && errors.Is(err, trace.ErrInterrupted): // nothing that came before is left
			return cause.Error(), nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "the time is over", nil
		case err != nil:
			return "", err
		}
		packet, ok := c.describe(view, e)
		if !ok {
			continue
		}
		if err := yield(api.Traced{Packet: &packet}); err != nil {
			return "", err
		}
		if view.full() {
			return "so many packets were asked for", nil
		}
	}
}

package control

import (
	"strconv"
	"time"

	"github.com/ebbtide/ebbtide/internal/gate"
	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/internal/otlp"
	"github.com/ebbtide/ebbtide/internal/release"
)

// A trace is a release: its first span is the release, below it is one for each state that it came through, and below those
// are hooks and gates. Names of spans follow from the release and the turn, so a daemon that was killed leaves no second
// trace behind.

func traceOf(r release.Record) otlp.Trace {
	return otlp.TraceOf(r.Service, number(r.Number), r.Begun.UTC().Format(time.RFC3339Nano))
}

func rootOf(r release.Record) otlp.SpanID { return traceOf(r).Span("release") }

// stateSpan is the span of the state that a release is in.
func stateSpan(r release.Record) otlp.SpanID { return traceOf(r).Span("state", number(r.Turn)) }

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// sendSpan sends one where the configuration says that traces go. The lock is held.
func (c *Controller) sendSpan(s otlp.Span) {
	if c.cfg != nil {
		c.opt.Traces.Send(c.cfg.Traces.OTLP, s)
	}
}

func ofRelease(r release.Record, more ...otlp.Attribute) []otlp.Attribute {
	return append([]otlp.Attribute{
		{Name: "ebbtide.service", Value: r.Service}, {Name: "ebbtide.release", Value: int64(r.Number)},
		{Name: "ebbtide.strategy", Value: string(r.Plan.Strategy)},
		{Name: "ebbtide.from.generation", Value: int64(r.From.Number)}, {Name: "ebbtide.from.version", Value: r.From.Version},
		{Name: "ebbtide.to.generation", Value: int64(r.To.Number)}, {Name: "ebbtide.to.version", Value: r.To.Version},
	}, more...)
}

// traceTransition tells of the state that a release has left, and of the release when that was the last one. The lock is held.
func (c *Controller) traceTransition(was, is release.Record, t *release.Transition) {
	now := c.releaseNow()
	s := otlp.Span{
		Trace: traceOf(is), ID: stateSpan(was), Parent: rootOf(is), Name: string(was.State), Start: was.Since, End: now,
		Attributes: ofRelease(is, otlp.Attribute{Name: "ebbtide.next_state", Value: string(t.To)}, otlp.Attribute{Name: "ebbtide.why", Value: t.Why}),
	}
	if t.To == release.Failed || t.To == release.RollingBack || t.To == release.Aborting {
		s.Failed = string(t.To) + ": " + t.Why
	}
	c.sendSpan(s)
	if !is.State.Over() {
		return
	}
	whole := otlp.Span{
		Trace: traceOf(is), ID: rootOf(is), Name: "release of " + is.Service, Start: is.Begun, End: now,
		Attributes: ofRelease(is, otlp.Attribute{Name: "ebbtide.outcome", Value: string(is.State)}, otlp.Attribute{Name: "ebbtide.by", Value: is.By}),
	}
	if is.State != release.Done {
		whole.Failed = string(is.State) + ": " + is.Why
	}
	c.sendSpan(whole)
}

// traceGate tells of a gate's new verdict: how long it took from the beginning of the state in which it is watched. The lock
// is held.
func (c *Controller) traceGate(r release.Record, is gate.Reading) {
	attributes := ofRelease(r, otlp.Attribute{Name: "ebbtide.gate", Value: is.Gate}, otlp.Attribute{Name: "ebbtide.verdict", Value: string(is.Verdict)},
		otlp.Attribute{Name: "ebbtide.threshold", Value: is.Threshold}, otlp.Attribute{Name: "ebbtide.on_fail", Value: string(is.OnFail)})
	if is.Value != nil {
		attributes = append(attributes, otlp.Attribute{Name: "ebbtide.value", Value: *is.Value})
	}
	s := otlp.Span{
		Trace: traceOf(r), ID: traceOf(r).Span("gate", number(r.Turn), is.Gate, is.At.Format(time.RFC3339Nano)), Parent: stateSpan(r),
		Name: "gate " + is.Gate + ": " + string(is.Verdict), Start: r.Since, End: is.At, Attributes: attributes,
	}
	if is.Verdict == gate.Fail {
		s.Failed = is.Detail
	}
	c.sendSpan(s)
}

// traceHook tells of a hook that has run, without its arguments and without what it printed.
func (c *Controller) traceHook(call hook.Call, is hookIs, began time.Time, res hook.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.releaseOf(call.Service, call.Release)
	if !ok {
		return
	}
	s := otlp.Span{
		Trace: traceOf(r), ID: traceOf(r).Span("hook", call.Key, began.Format(time.RFC3339Nano)), Parent: stateSpan(r),
		Name: "hook " + call.Transition, Start: began, End: began.Add(res.Took),
		Attributes: ofRelease(r, otlp.Attribute{Name: "ebbtide.hook", Value: is.Hook}, otlp.Attribute{Name: "ebbtide.key", Value: call.Key},
			otlp.Attribute{Name: "ebbtide.attempts", Value: int64(res.Attempts)}, otlp.Attribute{Name: "ebbtide.exit_code", Value: int64(res.ExitCode)},
			otlp.Attribute{Name: "http.response.status_code", Value: int64(res.HTTPStatus)}),
	}
	if res.Err != nil {
		s.Failed = "it failed: the journal says why"
	}
	c.sendSpan(s)
}

package control

import (
	"context"
	"slices"
	"time"

	"github.com/ebbtide/ebbtide/internal/report"
	kernel "github.com/ebbtide/ebbtide/maps"
)

// How often sessions are written down for reports: of a service that drains or is released, the longer that takes the
// more rarely, so that a drain of days has no more than some thousand lines; of others each minute, and only in memory, for
// what was before a flip.
const (
	sampleLeast  = time.Second
	samplePart   = 200 // of the time since it began
	sampleIdle   = time.Minute
	samplesAhead = 10
)

// sampleLoop writes down how many sessions generations have, until the context ends.
func (c *Controller) sampleLoop(ctx context.Context) error {
	if c.opt.Samples == "" {
		return nil
	}
	s := sampler{c: c, of: map[string]*sampled{}}
	for {
		c.mu.Lock()
		change := c.change
		c.mu.Unlock()
		s.look()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		}
	}
}

// sampler knows what was written down.
type sampler struct {
	c      *Controller
	of     map[string]*sampled // by service
	failed bool
}

// sampled is of one service. Ahead are samples that are written when something begins.
type sampled struct {
	at    time.Time
	last  []report.Count
	busy  bool
	ahead []report.Sample
}

// look writes what is due. A failure is told once: a line that is missing is missing in a plot.
func (s *sampler) look() {
	err := report.AppendSamples(s.c.opt.Samples, s.due())
	if err != nil && !s.failed {
		s.c.log.Error("the samples for reports are not written", "err", err)
	}
	s.failed = err != nil
}

// due are the samples to be written now.
func (s *sampler) due() (out []report.Sample) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.last.at.IsZero() {
		return nil
	}
	at := c.last.at.UTC().Truncate(time.Millisecond)
	waited := map[uint16]time.Time{}
	for _, index := range c.serviceIndexes() {
		name := c.image.Services[index].Name
		if s.of[name] == nil {
			s.of[name] = &sampled{}
		}
		if busy := c.busySince(index); s.of[name].due(at, busy) {
			waited[index] = busy
		}
	}
	if len(waited) == 0 {
		return nil
	}
	sessions := c.sessionsByGeneration()
	counts, err := c.plane.Tables.Counts()
	if err != nil {
		return nil
	}
	for index, busy := range waited {
		now := report.Sample{At: at, Service: c.image.Services[index].Name}
		for _, g := range c.image.GenerationsOf(index) {
			n, _ := counts.Generation(g)
			now.Generations = append(now.Generations, report.Count{
				Number: c.image.Generations[g].Number, Sessions: sessions[g].Total, New: n.New, Moved: n.Moved, EmptyAt: c.emptyAt(g, sessions[g].Total),
			})
		}
		out = append(out, s.of[now.Service].take(now, busy)...)
	}
	return out
}

// busySince is when a service began to drain or to be released, zero when it does neither.
func (c *Controller) busySince(service uint16) (since time.Time) {
	earlier := func(t time.Time) {
		if since.IsZero() || t.Before(since) {
			since = t
		}
	}
	for _, g := range c.image.GenerationsOf(service) {
		if rec := c.image.Generations[g]; rec.State == kernel.Draining {
			earlier(rec.Since)
		}
	}
	for _, r := range c.state.Services[c.image.Services[service].Name].Releases {
		if !r.State.Over() {
			earlier(r.Begun)
		}
	}
	return since
}

// emptyAt is when a generation that drains is expected to be empty, nil when nothing can be said.
func (c *Controller) emptyAt(g uint16, left uint64) *time.Time {
	d := c.drains[g]
	if d == nil || left == 0 || c.image.Generations[g].State != kernel.Draining {
		return nil
	}
	if f := d.prospect.forecast; f != nil {
		at := f.Median.UTC().Truncate(time.Second)
		return &at
	}
	rate := d.rate()
	if rate <= 0 {
		return nil
	}
	at := c.last.at.Add(time.Duration(float64(left) / rate * float64(time.Second))).UTC().Truncate(time.Second)
	return &at
}

// due says whether a service is to be counted at a time: in its turn, and when it begins or ends to be busy.
func (s *sampled) due(at, busy time.Time) bool {
	wait := sampleIdle
	if !busy.IsZero() {
		wait = max(sampleLeast, at.Sub(busy)/samplePart)
	}
	return s.busy == busy.IsZero() || at.Sub(s.at) >= wait
}

// take gives what is to be written of a service that is due, for what was counted now.
func (s *sampled) take(now report.Sample, busy time.Time) []report.Sample {
	turned := s.busy == busy.IsZero()
	if !turned && sameCounts(now.Generations, s.last) {
		return nil
	}
	wasBusy := s.busy
	s.busy, s.at, s.last = !busy.IsZero(), now.At, now.Generations
	if !s.busy && !wasBusy {
		s.ahead = append(s.ahead, now)
		s.ahead = s.ahead[max(0, len(s.ahead)-samplesAhead):]
		return nil
	}
	out := append(s.ahead, now)
	s.ahead = nil
	return out
}

// sameCounts compares what was counted, and not what is expected.
func sameCounts(a, b []report.Count) bool {
	return slices.EqualFunc(a, b, func(a, b report.Count) bool {
		return a.Number == b.Number && a.Sessions == b.Sessions && a.New == b.New && a.Moved == b.Moved
	})
}

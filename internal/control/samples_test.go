package control

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/report"
	kernel "github.com/ebbtide/ebbtide/maps"
	"github.com/ebbtide/ebbtide/maps/mapstest"
)

// A drain of days, counted each second, is some thousand lines; what did not change is none, and what was before the
// flip is there.
func TestASeriesOfSamplesIsBounded(t *testing.T) {
	begin := time.Now()
	var s sampled
	var all []report.Sample
	left := uint64(1 << 40)
	count := func(second int, busy time.Time) {
		at := begin.Add(time.Duration(second) * time.Second)
		left--
		if s.due(at, busy) {
			all = append(all, s.take(report.Sample{At: at, Generations: []report.Count{{Number: 1, Sessions: left}}}, busy)...)
		}
	}
	for second := range 3600 {
		count(second, time.Time{})
	}
	if len(all) != 0 {
		t.Errorf("%d lines of an idle service", len(all))
	}
	const days = 3 * 24 * 3600
	for second := range days {
		count(3600+second, begin.Add(time.Hour))
	}
	if n := len(all); n < 500 || n > 3000 {
		t.Errorf("%d lines of a drain of three days", n)
	}
	if before := begin.Add(time.Hour).Sub(all[0].At); before < 5*time.Minute {
		t.Errorf("it begins only %s before the flip", before)
	}
	n := len(all)
	count(3600+days, time.Time{})
	if len(all) != n+1 || !all[n].At.After(all[n-1].At) {
		t.Error("its end is not there")
	}
	same := s.last
	at := begin.Add(5 * 24 * time.Hour)
	if got := s.take(report.Sample{At: at, Generations: same}, time.Time{}); got != nil || len(s.ahead) != 0 {
		t.Errorf("what is the same is taken: %v", got)
	}
}

func TestTheReportOfAFlipHasItsSessions(t *testing.T) {
	c := newUnattached(t, manyServices(2, 2))
	c.opt.Samples = filepath.Join(t.TempDir(), "samples.jsonl")
	now, err := c.plane.Now()
	must(t, err)
	old := c.image.BackendsOf(c.image.Services[1].Steer.Live)[0]
	mapstest.Fill4(t, c.plane.Tables, 4096, 3, func(int) kernel.Meta { return mapstest.Meta(kernel.Established, 1, old, now) })
	_, err = c.Report(t.Context(), api.ReportRequest{Service: "s0"})
	mustRefuse(t, err, api.NotFound, "service s0: the journal has no release and no flip")
	_, err = c.Report(t.Context(), api.ReportRequest{Service: "s0", Release: 7})
	mustRefuse(t, err, api.NotFound, "service s0: the journal has no release 7")
	s := sampler{c: c, of: map[string]*sampled{}}
	must(t, c.sweep())
	s.look()
	_, err = c.Flip(t.Context(), api.FlipRequest{Service: "s0", Force: true, Act: api.Act{Reason: "why"}})
	must(t, err)
	s.look()
	for slot := range c.plane.Tables.SlotCount(kernel.IPv4) {
		if m := c.plane.Tables.Meta(kernel.IPv4, slot); m.Backend() == old {
			c.plane.Tables.SwapMeta(kernel.IPv4, slot, m, 0)
		}
	}
	for range 3 {
		must(t, c.sweep())
	}
	s.look()
	r, err := c.Report(t.Context(), api.ReportRequest{Service: "s0"})
	must(t, err)
	if r.From.Number != 1 || r.To.Number != 2 || r.Reason != "why" || r.State != "drained" || r.Drained == nil || *r.AtFlip != 3 || *r.NewOnOld != 0 {
		t.Errorf("%+v", r)
	}
	if len(r.Sessions) != 2 || r.Sessions[0].Generation.Number != 1 {
		t.Fatalf("sessions %+v", r.Sessions)
	}
	points := r.Sessions[0].Points
	if first, last := points[0].Sessions, points[len(points)-1].Sessions; first != 3 || last != 0 || len(points) < 3 {
		t.Errorf("of the old generation: %+v", points)
	}
	if _, err := report.ReadSamples(c.opt.Samples, "s1", time.Time{}); err != nil {
		t.Error(err)
	}
}

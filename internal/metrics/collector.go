// Package metrics shows what the kernel counts to Prometheus. It keeps no
// count of its own: everything is read when it is scraped.
package metrics

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ebbtide/ebbtide/internal/api"
)

// Source is where the figures come from. A scrape reads it once.
type Source interface {
	Status(ctx context.Context) (api.Status, error)

	// Reasons counts packets and events by name: drop_…, pass_…, event_….
	Reasons() (map[string]uint64, error)
}

// Collector reads a [Source] at each scrape. When that fails, so does the
// scrape: old figures would look like new ones.
type Collector struct{ source Source }

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector makes one; it goes into a registry once.
func NewCollector(source Source) *Collector { return &Collector{source} }

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []desc{
		packets, bytes, newSessions, orphans, reopened, unpinned, newAfterFlip, sessions, generationInfo,
		drops, passes, events, tableSlots, tableUsed, tableOverflow, interfaceGeneric, sweepSeconds, lastSweep,
	} {
		out <- d.Desc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	status, err := c.source.Status(context.Background())
	if err != nil {
		out <- prometheus.NewInvalidMetric(packets.Desc, err)
		return
	}
	reasons, err := c.source.Reasons()
	if err != nil {
		out <- prometheus.NewInvalidMetric(drops.Desc, err)
		return
	}
	for _, s := range status.Services {
		for _, g := range s.Generations {
			collectGeneration(out, s.Name, g)
		}
	}
	collectHost(out, status)
	collectReasons(out, reasons)
}

func collectHost(out chan<- prometheus.Metric, s api.Status) {
	for _, t := range s.Tables {
		tableSlots.send(out, float64(t.Slots), t.Family)
		tableUsed.send(out, float64(t.Used), t.Family)
		tableOverflow.send(out, float64(t.Overflow), t.Family)
	}
	for _, i := range s.Interfaces {
		interfaceGeneric.send(out, boolean(i.Mode == api.ModeGeneric), i.Name)
	}
	sweepSeconds.send(out, s.SweepSeconds)
	if !s.LastSweep.IsZero() {
		lastSweep.send(out, float64(s.LastSweep.UnixMilli())/1000)
	}
}

func collectReasons(out chan<- prometheus.Metric, reasons map[string]uint64) {
	for name, n := range reasons {
		kind, rest, _ := strings.Cut(name, "_")
		switch kind {
		case "drop":
			drops.send(out, float64(n), rest)
		case "pass":
			passes.send(out, float64(n), rest)
		case "event":
			events.send(out, float64(n), rest)
		}
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

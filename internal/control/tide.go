package control

import (
	"context"
	"net/netip"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/tide"
)

// Web is where the configuration wants the web page to be served, the zero AddrPort for nowhere, and a channel that is closed
// when that may have changed.
func (c *Controller) Web() (netip.AddrPort, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return webOf(c.cfg), c.change
}

// webOf a file; there may be none that could be applied.
func webOf(cfg *config.Config) netip.AddrPort {
	if cfg == nil {
		return netip.AddrPort{}
	}
	return cfg.Web
}

// planWeb says where the page will be served that was not, or no longer. A daemon's start changes nothing of it.
func (c *Controller) planWeb(cfg *config.Config, d *describer) {
	if c.cfg == nil {
		return
	}
	switch was, will := webOf(c.cfg), cfg.Web; {
	case was == will:
	case !will.IsValid():
		d.add("", "no web page on %s any more", was)
	default:
		d.add("", "web page on %s", will)
	}
}

// tideLoop keeps what each sweep has counted while there is a page that shows it, until the context ends.
func (c *Controller) tideLoop(ctx context.Context) error {
	var seen time.Time
	for {
		at, counts, change := c.tideNow(seen)
		switch {
		case counts != nil:
			c.tide.Add(at, counts)
			seen = at
		case at.IsZero() && !seen.IsZero():
			c.tide.Clear()
			seen = at
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		}
	}
}

// tideNow gives the counts of the newest sweep by service, nil when it is the one that was seen. The time is zero when nobody
// wants them.
func (c *Controller) tideNow(seen time.Time) (at time.Time, counts map[string][]tide.Count, change <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at = c.last.at
	switch {
	case !webOf(c.cfg).IsValid() || c.gone:
		return time.Time{}, nil, c.change
	case at.IsZero() || at.Equal(seen):
		return at, nil, c.change
	}
	sessions := c.sessionsByGeneration()
	counts = map[string][]tide.Count{}
	for index, svc := range c.image.Services {
		of := []tide.Count{}
		for _, g := range c.image.GenerationsOf(index) {
			ref := c.ref(g)
			of = append(of, tide.Count{Number: ref.Number, Colour: ref.Colour, Version: ref.Version, Sessions: sessions[g].Total})
		}
		counts[svc.Name] = of
	}
	return at, counts, c.change
}

// Tide yields how many sessions the generations of a service had, at first all that is known and then what each sweep counts,
// until the context ends. An error of yield ends it.
func (c *Controller) Tide(ctx context.Context, service string, yield func([]tide.Point) error) error {
	c.mu.Lock()
	_, err := c.service(service)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	var seen time.Time
	for {
		points, more := c.tide.Since(service, seen)
		if len(points) > 0 {
			seen = points[len(points)-1].At
			if err := yield(points); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-more:
		}
	}
}

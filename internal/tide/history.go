// Package tide keeps how many sessions each generation had over time, for those who look at the tide: in memory, bounded,
// fine for what is recent and coarse for what was before. It proves nothing and outlives no restart.
package tide

import (
	"sync"
	"time"
)

// How much is kept of a service: of the last time each sweep, and of what was before one a minute.
const (
	recentPoints = 600
	coarsePoints = 720
	coarseEvery  = time.Minute

	// maxPoints bounds all services together, and minPoints is what each has all the same.
	maxPoints = 250_000
	minPoints = 30
)

// Point is what was counted at a moment.
type Point struct {
	At          time.Time `json:"at"`
	Generations []Count   `json:"generations"`
}

// Count is of one generation. Colour and Version are those that it had then.
type Count struct {
	Number   uint32 `json:"number"`
	Colour   string `json:"colour"`
	Version  string `json:"version"`
	Sessions uint64 `json:"sessions"`
}

// History is what was counted of all services. Its methods may be used from several goroutines.
type History struct {
	mu       sync.Mutex
	services map[string]*line
	change   chan struct{}
}

// line is of one service.
type line struct{ coarse, recent []Point }

// New is a history of nothing.
func New() *History { return &History{services: map[string]*line{}, change: make(chan struct{})} }

// Add keeps what was counted of all services at a time. Those that are not among them are forgotten.
func (h *History) Add(at time.Time, counts map[string][]Count) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.services {
		if _, there := counts[name]; !there {
			delete(h.services, name)
		}
	}
	recent, coarse := shares(len(counts))
	for name, of := range counts {
		l := h.services[name]
		if l == nil {
			l = &line{}
			h.services[name] = l
		}
		p := Point{at, of}
		l.recent = last(append(l.recent, p), recent)
		if n := len(l.coarse); n == 0 || at.Sub(l.coarse[n-1].At) >= coarseEvery {
			l.coarse = last(append(l.coarse, p), coarse)
		}
	}
	close(h.change)
	h.change = make(chan struct{})
}

// Clear forgets everything.
func (h *History) Clear() { h.Add(time.Time{}, nil) }

// Since gives what is known of a service after a time, the oldest first, and a channel that is closed when there is more.
func (h *History) Since(service string, after time.Time) ([]Point, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.services[service]
	if l == nil {
		return nil, h.change
	}
	var out []Point
	for _, p := range l.coarse {
		if p.At.After(after) && p.At.Before(l.recent[0].At) {
			out = append(out, p)
		}
	}
	for _, p := range l.recent {
		if p.At.After(after) {
			out = append(out, p)
		}
	}
	return out, h.change
}

// shares are how many points of each kind one of so many services has.
func shares(services int) (recent, coarse int) {
	each := max(minPoints, maxPoints/max(1, services)/2)
	return min(recentPoints, each), min(coarsePoints, each)
}

// last keeps the newest. What is left out is let go of when the slice grows.
func last(points []Point, n int) []Point { return points[max(0, len(points)-n):] }

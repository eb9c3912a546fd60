package top

import (
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
)

// maxPoints bounds what is kept. When it is reached every second point goes, so
// that the whole time watched stays in the picture.
const maxPoints = 2048

// rateOver is the time that rates are of: longer than a sweep's interval,
// because sessions are counted by sweeps.
const rateOver = 10 * time.Second

// point is what a look at the status found of one service.
type point struct {
	at   time.Time
	gens map[uint32]figures
}

// figures are those of a generation; all but Sessions only grow.
type figures struct{ sessions, new, packets, bytes uint64 }

// history is what was seen of one service, the oldest first.
type history struct{ points []point }

func (h *history) add(at time.Time, s api.Service) {
	p := point{at: at, gens: make(map[uint32]figures, len(s.Generations))}
	for _, g := range s.Generations {
		p.gens[g.Number] = figures{g.Sessions.Total, g.New, g.Packets, g.Bytes}
	}
	h.points = append(h.points, p)
	if len(h.points) < maxPoints {
		return
	}
	kept := h.points[:0]
	for i := 1; i < len(h.points); i += 2 {
		kept = append(kept, h.points[i])
	}
	h.points = kept
}

// rates are what a generation does a second.
type rates struct{ new, packets, bits float64 }

// rate is of the last seconds, and not ok before there are two points.
func (h *history) rate(generation uint32) (r rates, ok bool) {
	if len(h.points) < 2 {
		return rates{}, false
	}
	last := h.points[len(h.points)-1]
	first := h.points[len(h.points)-2]
	for i := len(h.points) - 2; i >= 0 && last.at.Sub(h.points[i].at) <= rateOver; i-- {
		first = h.points[i]
	}
	now, known := last.gens[generation]
	then, before := first.gens[generation]
	over := last.at.Sub(first.at).Seconds()
	if !known || !before || over <= 0 {
		return rates{}, false
	}
	a := func(now, then uint64) float64 { // a program loaded anew counts from 0
		return float64(max(now, then)-then) / over
	}
	return rates{a(now.new, then.new), a(now.packets, then.packets), 8 * a(now.bytes, then.bytes)}, true
}

// peak is the most sessions that a generation was seen with.
func (h *history) peak(generation uint32) (most uint64) {
	for _, p := range h.points {
		most = max(most, p.gens[generation].sessions)
	}
	return most
}

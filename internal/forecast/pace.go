package forecast

import (
	"math"
	"slices"
)

// Pace compares how many of the living end with how many should, by their ages. The zero Pace has seen nothing.
type Pace struct {
	marks []mark
	last  mark
}

// mark is what a drain had come to at a time.
type mark struct {
	at       float64
	expected []float64 // by curve, the best guess first
	ended    float64
}

// mostMarks bounds the windows that are looked at.
const mostMarks = 128

// Stalled is the evidence that sessions no longer end as their ages predict, the worst window of all.
type Stalled struct {
	Since    float64 // the time at which the window begins, up to now
	Expected float64 // ends in it, by the ages of those that were left
	Ended    float64
	Chance   float64 // of so few or fewer in any window, had they gone on to end as predicted
}

// sure is the chance below which it is taken for more than chance: in so many drains it would be wrong for a while.
const sure = 0.005

// Stalled says whether the evidence is enough.
func (s Stalled) Stalled() bool { return s.Expected > 0 && s.Chance < sure }

// expected is how many of the living should have ended in the time up to now, had each come to its end as likely as its
// age says: by the best guess, and by each curve that is as possible.
func (m *Model) expected(living []Group, span float64) []float64 {
	out := []float64{m.mean.expected(living, span)}
	for k := range m.curves {
		out = append(out, m.curves[k].expected(living, span))
	}
	return out
}

func (c *curve) expected(living []Group, span float64) (n float64) {
	for _, g := range living {
		before := c.hazard(max(0, g.Age-span))
		if math.IsInf(before, 1) { // a tail that ended before: this should be gone long since
			return before
		}
		n += g.N * (c.hazard(g.Age) - before)
	}
	return n
}

// See takes a look at those that live at a time, a span after the look before, and at how many ended since. The model has
// to be one and the same for all looks: one that is made of those that stay would expect them to. The worst windows begin
// right behind an end, so only such looks are kept.
func (p *Pace) See(m *Model, living []Group, at, span, ended float64) {
	next := mark{at, m.expected(living, span), p.last.ended + ended}
	for k := range p.last.expected {
		next.expected[k] += p.last.expected[k]
	}
	p.last = next
	if len(p.marks) > 0 && ended <= 0 {
		return
	}
	if len(p.marks) == mostMarks {
		p.drop()
	}
	p.marks = append(p.marks, next)
}

// drop forgets the mark that the next one stands for best: the least was expected between them.
func (p *Pace) drop() {
	least := 0
	for i := range len(p.marks) - 1 {
		if p.marks[i+1].expected[0]-p.marks[i].expected[0] < p.marks[least+1].expected[0]-p.marks[least].expected[0] {
			least = i
		}
	}
	p.marks = slices.Delete(p.marks, least, least+1)
}

// Worst is the window up to now in which the least ended for what should have. Ends come as a Poisson process does, in a
// time that goes as fast as they are expected. A long drain has many windows, one for each end: each would be the worst by
// chance some time.
func (p *Pace) Worst() Stalled {
	worst := Stalled{Chance: 1}
	for _, m := range p.marks {
		w := Stalled{Since: m.at, Expected: p.last.expected[0] - m.expected[0], Ended: p.last.ended - m.ended}
		for k := 1; k < len(m.expected); k++ {
			w.Chance += poissonAtMost(w.Ended, p.last.expected[k]-m.expected[k]) / float64(len(m.expected)-1)
		}
		if w.Chance = min(1, w.Chance*(1+p.last.ended)); w.Chance < worst.Chance {
			worst = w
		}
	}
	return worst
}

// poissonAtMost is the chance of n or fewer where mean are expected.
func poissonAtMost(n, mean float64) float64 {
	switch {
	case n >= mean:
		return 1
	case math.IsInf(mean, 1):
		return 0
	}
	term, sum := 1.0, 1.0 // from n downwards, in units of the chance of n
	for k := n; k > 0 && term > 1e-12; k-- {
		term *= k / mean
		sum += term
	}
	lgamma, _ := math.Lgamma(n + 1)
	return min(1, sum*math.Exp(n*math.Log(mean)-mean-lgamma))
}

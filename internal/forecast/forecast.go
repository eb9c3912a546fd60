// Package forecast says when the last of some living sessions will be gone, from how long sessions of their service last.
//
// Lengths are known in part: those of sessions that ended are binned, those that live are known to last longer than their
// age (right-censored), and some may have been seen from an age on only (left-truncated). Up to where a good number of
// them ended the share that survives is estimated bin by bin (Kaplan-Meier on grouped data, a life table). Beyond that, few
// or none ended: a generalised Pareto tail goes on from there, whose shape the longest lengths decide, from one that has an
// end to one heavier than any exponential. Both are uncertain, and the forecast is a mixture over what they may be: the
// fewer ends there are, the wider it is.
//
// It is pure: no clock, no input but what it is given, the same answer to the same question. Times are seconds.
package forecast

import (
	"errors"
	"math"
	"math/rand/v2"
)

// Bin says that N sessions lasted from Low up to High.
type Bin struct{ Low, High, N float64 }

// Group is N sessions of an age.
type Group struct{ Age, N float64 }

// Sample is what is known of the lengths of a service's sessions.
type Sample struct {
	Ended  []Bin   // each begins where the one before ends, the first at 0
	Living []Group // they last longer than this
	Late   []Group // of all the above, those that were seen from this age on only
}

// ErrNoEnds: no session of a sample has ended, so nothing is known of how long they last.
var ErrNoEnds = errors.New("no session has ended yet")

// draws is how many curves stand for all that the sample leaves possible.
const draws = 32

// Model is what a sample says of how long sessions last.
type Model struct {
	mean    curve   // the best single guess
	curves  []curve // what it may be as well
	ends    float64
	censors float64
	longest float64 // upper end of the last bin that has an end
}

// Fit makes a model of a sample.
func Fit(s Sample) (*Model, error) {
	t := newTable(s)
	m := &Model{ends: t.ends, longest: t.longest}
	for _, g := range s.Living {
		m.censors += g.N
	}
	if t.ends <= 0 {
		return nil, ErrNoEnds
	}
	body := t.body()
	tail := fitTail(t.tail(s))
	r := rand.New(rand.NewPCG(1, math.Float64bits(t.ends+m.censors)))
	m.mean = curve{edges: t.edges[:body+1], hazards: t.hazards(body, nil), tail: tail.mean()}
	for k := range draws {
		m.curves = append(m.curves, curve{
			edges: m.mean.edges, hazards: t.hazards(body, r), tail: tail.draw((float64(k)+0.5)/draws, r),
		})
	}
	return m, nil
}

// Ends is how many ended sessions the model was made of, Censored how many living ones.
func (m *Model) Ends() float64     { return m.ends }
func (m *Model) Censored() float64 { return m.censors }

// Longest is a length that no session in the sample has outlasted at its end: beyond it the model extrapolates.
func (m *Model) Longest() float64 { return m.longest }

// Survival is the share of sessions that last longer than an age.
func (m *Model) Survival(age float64) float64 { return math.Exp(-m.mean.hazard(age)) }

// Length is the length that a share of all sessions do not outlast.
func (m *Model) Length(share float64) float64 {
	want, low, high := -math.Log1p(-share), 0.0, 1.0
	for m.mean.hazard(high) < want && high < forever {
		low, high = high, 2*high
	}
	for range 40 {
		if mid := (low + high) / 2; m.mean.hazard(mid) < want {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// Older counts those of the living that are older than a share of all sessions become.
func (m *Model) Older(living []Group, share float64) (n float64) {
	for _, g := range living {
		if m.Survival(g.Age) < 1-share {
			n += g.N
		}
	}
	return n
}

// forever is a length that none has: a hundred years.
const forever = 100 * 366 * 24 * 3600

package forecast

import "math"

// Last is the distribution of the time until the last of some sessions is gone.
type Last struct {
	times []float64 // ascending
	gone  []float64 // the chance that it is gone by then
}

// points at which the distribution is worked out; between them it is straight.
const points = 24

// Last says when the last of the living will be gone. They are independent of each other, but for what makes all of them
// last longer: that is what the curves differ in.
func (m *Model) Last(living []Group) Last {
	if len(living) == 0 {
		return Last{times: []float64{0}, gone: []float64{1}}
	}
	before := make([][]float64, len(m.curves)) // hazards at the ages that they have
	for k := range m.curves {
		for _, g := range living {
			before[k] = append(before[k], m.curves[k].hazard(g.Age))
		}
	}
	gone := func(after float64, step int) float64 {
		sum, n := 0.0, 0
		for k := 0; k < len(m.curves); k += step {
			sum += math.Exp(m.curves[k].logGone(living, before[k], after))
			n++
		}
		return sum / float64(n)
	}
	low, high := bracket(func(after float64) float64 { return gone(after, 4) })
	var l Last
	for i := range points {
		after := low * math.Pow(high/low, float64(i)/(points-1))
		l.times, l.gone = append(l.times, after), append(l.gone, gone(after, 1))
	}
	return l
}

// logGone is the logarithm of the chance that all are gone after a time.
func (c *curve) logGone(living []Group, before []float64, after float64) (l float64) {
	for i, g := range living {
		if l += g.N * logEnds(c.hazard(g.Age+after)-before[i]); l < -50 {
			return math.Inf(-1)
		}
	}
	return l
}

// bracket is the time between which nearly all happens.
func bracket(gone func(after float64) float64) (low, high float64) {
	high = 1
	for high < forever && gone(high) < 0.995 {
		high *= 2
	}
	low = high / 2
	for low > 1e-3 && gone(low) > 0.003 {
		low /= 2
	}
	return low, high
}

// Quantile is the time by which all are gone with a chance.
func (l Last) Quantile(chance float64) float64 {
	for i, p := range l.gone {
		if p < chance {
			continue
		}
		if i == 0 {
			return l.times[0]
		}
		part := (chance - l.gone[i-1]) / (p - l.gone[i-1])
		return l.times[i-1] * math.Pow(l.times[i]/l.times[i-1], part)
	}
	return l.times[len(l.times)-1]
}

// Gone is the chance that all are gone after a time.
func (l Last) Gone(after float64) float64 {
	for i, t := range l.times {
		if t >= after {
			if i == 0 {
				return l.gone[0]
			}
			return l.gone[i-1] + (after-l.times[i-1])/(t-l.times[i-1])*(l.gone[i]-l.gone[i-1])
		}
	}
	return 1
}

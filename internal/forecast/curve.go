package forecast

import "math"

// curve is a way in which sessions may end: their cumulative hazard, whose exponential is the share that survives. Up to
// the last edge it is a life table, in which a bin has one hazard; behind that it is the tail.
type curve struct {
	edges   []float64
	hazards []float64 // up to each edge
	tail    pareto
}

func (c *curve) hazard(age float64) float64 {
	last := len(c.edges) - 1
	if age >= c.edges[last] {
		return c.hazards[last] + c.tail.hazard(age-c.edges[last])
	}
	low, high := 0, last // the edges around it
	for high-low > 1 {
		if mid := (low + high) / 2; c.edges[mid] <= age {
			low = mid
		} else {
			high = mid
		}
	}
	within := (age - c.edges[low]) / (c.edges[high] - c.edges[low])
	return c.hazards[low] + within*(c.hazards[high]-c.hazards[low])
}

// logEnds is the logarithm of the share that has ended after a cumulative hazard.
func logEnds(hazard float64) float64 {
	switch {
	case hazard > 7:
		x := math.Exp(-hazard)
		return -x * (1 + x/2)
	case hazard > 0.7:
		return math.Log1p(-math.Exp(-hazard))
	case hazard > 0:
		return math.Log(-math.Expm1(-hazard))
	}
	return math.Inf(-1)
}

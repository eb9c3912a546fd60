package forecast

import (
	"math"
	"math/rand/v2"
)

// pareto is a generalised Pareto tail: with shape 0 it is exponential, with more it is heavier than any exponential, with
// less it has an end.
type pareto struct{ shape, scale float64 }

// hazard is the cumulative one, from the begin of the tail.
func (p pareto) hazard(x float64) float64 {
	at := p.shape * x / p.scale
	switch {
	case x <= 0:
		return 0
	case math.Abs(p.shape) < 1e-6:
		return x / p.scale
	case at <= -1:
		return math.Inf(1)
	}
	return math.Log1p(at) / p.shape
}

// shapes that a tail may have. Session lengths with a shape above 1 would have no mean.
const (
	shapeLeast = -0.3
	shapeMost  = 1.2
	shapeStep  = 0.1
	// Where few lengths decide, these do: not far from exponential, rather heavier.
	shapeUsual  = 0.1
	shapeSpread = 0.4
)

// tailFit is how likely each shape is, and for each the scale that goes with it.
type tailFit struct {
	shapes  []float64
	weights []float64 // cumulative, the last is 1
	scales  []float64 // logarithm of the likeliest
	spreads []float64 // its standard deviation
	reach   float64   // the highest age behind the begin of the tail: nobody is older than a tail's end
}

// fitTail weighs the shapes by how likely they make a sample; ends are binned, the living and the late as they are.
func fitTail(s Sample) tailFit {
	var f tailFit
	for _, g := range s.Living {
		f.reach = max(f.reach, g.Age)
	}
	guess := meanExcess(s)
	var likely []float64
	best := math.Inf(-1)
	for shape := shapeLeast; shape < shapeMost+shapeStep/2; shape += shapeStep {
		scale, spread, l := bestScale(s, shape, guess)
		off := (shape - shapeUsual) / shapeSpread
		l += math.Log(spread) - off*off/2
		f.shapes, f.scales, f.spreads = append(f.shapes, shape), append(f.scales, scale), append(f.spreads, spread)
		likely, best = append(likely, l), max(best, l)
	}
	sum := 0.0
	for _, l := range likely {
		sum += math.Exp(l - best)
		f.weights = append(f.weights, sum)
	}
	for i := range f.weights {
		f.weights[i] /= sum
	}
	return f
}

// meanExcess is the scale of an exponential tail: the time that all spent in it, by their ends.
func meanExcess(s Sample) float64 {
	time, ends := 0.0, 0.0
	for _, b := range s.Ended {
		ends += b.N
		time += b.N * (b.Low + min(b.High, 2*b.Low+1)) / 2
	}
	for _, g := range s.Living {
		time += g.Age * g.N
	}
	for _, g := range s.Late {
		time -= g.Age * g.N
	}
	return max(time, 1e-3) / max(ends, 0.5)
}

// bestScale is the likeliest scale of a shape, as a logarithm, with its standard deviation and the likelihood: of one peak,
// so a golden section finds it.
func bestScale(s Sample, shape, guess float64) (scale, spread, likelihood float64) {
	at := func(scale float64) float64 { return logLikelihood(s, pareto{shape, math.Exp(scale)}) }
	const golden = 0.6180339887498949
	low, high := math.Log(guess)-4, math.Log(guess)+4
	a, b := high-golden*(high-low), low+golden*(high-low)
	la, lb := at(a), at(b)
	for high-low > 0.01 {
		if la > lb || math.IsInf(lb, -1) && !math.IsInf(la, -1) {
			high, b, lb = b, a, la
			a = high - golden*(high-low)
			la = at(a)
		} else {
			low, a, la = a, b, lb
			b = low + golden*(high-low)
			lb = at(b)
		}
	}
	scale = (low + high) / 2
	likelihood = at(scale)
	const step = 0.05
	bend := (2*likelihood - at(scale-step) - at(scale+step)) / (step * step)
	return scale, 1 / math.Sqrt(min(max(bend, 0.25), 1e6)), likelihood
}

func logLikelihood(s Sample, p pareto) (l float64) {
	for _, b := range s.Ended {
		low := p.hazard(b.Low)
		l += b.N * (logEnds(p.hazard(b.High)-low) - low)
	}
	for _, g := range s.Living {
		l -= g.N * p.hazard(g.Age)
	}
	for _, g := range s.Late {
		l += g.N * p.hazard(g.Age)
	}
	if math.IsNaN(l) {
		return math.Inf(-1)
	}
	return l
}

// draw takes the tail at a share of all that are likely, and a scale that may go with its shape.
func (f tailFit) draw(share float64, r *rand.Rand) pareto {
	return f.at(share, r.NormFloat64())
}

// mean is the tail in the middle.
func (f tailFit) mean() pareto { return f.at(0.5, 0) }

func (f tailFit) at(share, deviation float64) pareto {
	i, below := 0, 0.0
	for i < len(f.weights)-1 && f.weights[i] < share {
		below = f.weights[i]
		i++
	}
	within := (share-below)/(f.weights[i]-below) - 0.5 // of the step around shape i
	p := pareto{f.shapes[i] + within*shapeStep, 0}
	next := min(i+1, len(f.scales)-1)
	slope := 0.0
	if prev := max(i-1, 0); next > prev {
		slope = (f.scales[next] - f.scales[prev]) / float64(next-prev)
	}
	p.scale = math.Exp(f.scales[i] + within*slope + deviation*f.spreads[i])
	if p.shape < 0 && -p.scale/p.shape <= f.reach {
		p.shape = 0
	}
	return p
}

package forecast

import (
	"math"
	"math/rand/v2"
)

// table is a life table: how many were there in each bin to end, and how many did.
type table struct {
	edges   []float64 // one more than bins
	ended   []float64
	atRisk  []float64
	ends    float64
	longest float64
}

func newTable(s Sample) *table {
	t := &table{edges: []float64{0}, ended: make([]float64, len(s.Ended)), atRisk: make([]float64, len(s.Ended))}
	for i, b := range s.Ended {
		t.edges = append(t.edges, b.High)
		t.ended[i] = b.N
		t.ends += b.N
		if b.N > 0 {
			t.longest = b.High
		}
	}
	left := t.ends
	for i, b := range s.Ended {
		t.atRisk[i] = left
		left -= b.N
	}
	t.expose(s.Living, 1)
	t.expose(s.Late, -1)
	for i, d := range t.ended {
		t.atRisk[i] = max(t.atRisk[i], d)
	}
	return t
}

// expose adds those who were there up to an age: whole in the bins before, for a part in theirs.
func (t *table) expose(groups []Group, sign float64) {
	for _, g := range groups {
		for i := range t.atRisk {
			low, high := t.edges[i], t.edges[i+1]
			if g.Age <= low {
				break
			}
			t.atRisk[i] += sign * g.N * min(1, (g.Age-low)/(high-low))
		}
	}
}

// The tail is what the longest of the ended lengths tell: a tenth of them, within these bounds.
const (
	tailShare = 0.1
	tailLeast = 40
	tailMost  = 400
)

// body is the number of bins before the tail.
func (t *table) body() int {
	want := min(max(t.ends*tailShare, tailLeast), tailMost)
	n := 0.0
	for i := len(t.ended) - 1; i > 0; i-- {
		if n += t.ended[i]; n >= want {
			return i
		}
	}
	return 0
}

// hazards is the cumulative hazard at the edges of the body: the estimate itself, or with r one that is as likely as the
// numbers in each bin let it be (the Bayesian bootstrap for censored lengths: Lo, 1993).
func (t *table) hazards(body int, r *rand.Rand) []float64 {
	out := make([]float64, body+1)
	for i := range body {
		share := 0.0
		if d, rest := t.ended[i], t.atRisk[i]-t.ended[i]; d > 0 {
			if r != nil {
				d, rest = gamma(r, d), gamma(r, rest)
			}
			share = min(d/(d+rest), 1-1e-9)
		}
		out[i+1] = out[i] - math.Log1p(-share)
	}
	return out
}

// tail is the sample behind the body, seen from its begin.
func (t *table) tail(s Sample) Sample {
	body := t.body()
	from := t.edges[body]
	var out Sample
	for _, b := range s.Ended[body:] {
		if b.N > 0 {
			out.Ended = append(out.Ended, Bin{b.Low - from, b.High - from, b.N})
		}
	}
	out.Living, out.Late = beyond(s.Living, from), beyond(s.Late, from)
	return out
}

func beyond(groups []Group, from float64) (out []Group) {
	for _, g := range groups {
		if g.Age > from {
			out = append(out, Group{g.Age - from, g.N})
		}
	}
	return out
}

// gamma draws from the gamma distribution of a shape and scale 1 (Marsaglia and Tsang, 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	if shape <= 0 {
		return 0
	}
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

package forecast_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ebbtide/ebbtide/internal/forecast"
)

// Ways in which sessions last, in seconds.
var lengths = map[string]func(r *rand.Rand) float64{
	"exponential": func(r *rand.Rand) float64 { return 600 * r.ExpFloat64() },
	"log-normal":  func(r *rand.Rand) float64 { return 400 * math.Exp(r.NormFloat64()) },
	"Weibull":     func(r *rand.Rand) float64 { return 700 * math.Pow(r.ExpFloat64(), 1/1.7) },
	"heavy tail":  func(r *rand.Rand) float64 { return 300 * (math.Pow(1-r.Float64(), -1/2.2) - 0.8) },
}

// service is one that sessions have come to for a while, and come to no more.
type service struct {
	ended []float64
	ages  []float64
	last  float64 // the time from now on until the last of the living is gone
}

func newService(r *rand.Rand, sessions int, since float64, length func(*rand.Rand) float64) (s service) {
	for range sessions {
		age, l := since*r.Float64(), length(r)
		if l <= age {
			s.ended = append(s.ended, l)
			continue
		}
		s.ages, s.last = append(s.ages, age), max(s.last, l-age)
	}
	return s
}

// edges of bins, four to a doubling, as the kernel has them.
func edges() []float64 {
	out := []float64{0, 1, 2, 3, 4, 5, 6, 7}
	for top := 8.0; top < 1<<26; top *= 2 {
		out = append(out, top, top*1.25, top*1.5, top*1.75)
	}
	return out
}

func binned(lengths []float64) (out []forecast.Bin) {
	e := edges()
	for i := range len(e) - 1 {
		out = append(out, forecast.Bin{Low: e[i], High: e[i+1]})
	}
	for _, l := range lengths {
		for i := len(e) - 2; i >= 0; i-- {
			if l >= e[i] {
				out[i].N++
				break
			}
		}
	}
	return out
}

// grouped has ages of an eighth of a doubling together.
func grouped(ages []float64) (out []forecast.Group) {
	n := map[int]float64{}
	for _, a := range ages {
		n[int(8*math.Log2(1+a))]++
	}
	for i := range 8 * 26 {
		if n[i] > 0 {
			out = append(out, forecast.Group{Age: math.Exp2((float64(i)+0.5)/8) - 1, N: n[i]})
		}
	}
	return out
}

func (s service) sample() forecast.Sample {
	return forecast.Sample{Ended: binned(s.ended), Living: grouped(s.ages)}
}

func mustFit(tb testing.TB, s forecast.Sample) *forecast.Model {
	tb.Helper()
	m, err := forecast.Fit(s)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

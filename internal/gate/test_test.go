package gate

import (
	"math"
	"testing"
)

// The figures are R's: binom.test, poisson.test, fisher.test(alternative = "greater").
func TestTheExactTestsGiveTheFiguresOfTheBooks(t *testing.T) {
	for _, row := range []struct {
		name      string
		got, want float64
	}{
		{"P(X >= 8), n 10, p 0.5", binomialTail(8, 10, 0.5), 0.0546875},
		{"P(X >= 0)", binomialTail(0, 10, 0.5), 1},
		{"P(X >= n+1)", binomialTail(11, 10, 0.5), 0},
		{"P(X >= 3), mean 1", poissonTail(3, 1), 0.0803013970713942},
		{"Fisher's tea", fisher(sample{3, 4}, sample{1, 4}), 17.0 / 70},
		{"Fisher, fewer than before", fisher(sample{1, 4}, sample{3, 4}), 69.0 / 70},
		{"Fisher, all of all", fisher(sample{5, 5}, sample{0, 5}), 1.0 / 252},
		{"rates, 10 in 1 and 10 in 4", rateOver(sample{10, 1}, sample{10, 4}, 1, 0.01).p, binomialTail(10, 20, 0.2)},
	} {
		if math.Abs(row.got-row.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", row.name, row.got, row.want)
		}
	}
}

func TestTheScoreTestIsTheOneOfAPooledShareWhereTheRatioIsOne(t *testing.T) {
	one, other := sample{150, 1000}, sample{110, 900}
	p := 260.0 / 1900
	z := (0.15 - 110.0/900) / math.Sqrt(p*(1-p)*(1.0/1000+1.0/900))
	if got, want := scoreOver(one, other, 1), normalTail(z); math.Abs(got-want) > 1e-9 {
		t.Errorf("p %v, want %v", got, want)
	}
}

func TestNothingToCompareWithIsNoReasonToFail(t *testing.T) {
	for name, got := range map[string]test{
		"no new":      sharesOver(sample{0, 0}, sample{10, 100}, 1.5, 0.01),
		"no old":      sharesOver(sample{10, 100}, sample{0, 0}, 1.5, 0.01),
		"no time":     rateUnder(sample{0, 0}, sample{10, 100}, 0.5, 0.01),
		"no before":   rateUnder(sample{0, 100}, sample{0, 0}, 0.5, 0.01),
		"no session":  shareOver(0, 0, 0.02, 0.01),
		"no count":    countOver(0, 0, 0.02, 0.01),
		"no ends":     hazardOver(nil, nil, 0, 0, 1.5, 0.01),
		"nobody ends": hazardOver([]uint64{0, 0}, []uint64{0, 0}, 100, 100, 1.5, 0.01),
	} {
		if got.p < 0.99 || got.power > 0.01 || math.IsNaN(got.p) || math.IsNaN(got.power) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPowerGrowsWithTheSessions(t *testing.T) {
	last := -1.0
	for _, n := range []float64{10, 100, 1000, 10_000, 100_000} {
		power := sharesOver(sample{uint64(n / 50), n}, sample{200, 10_000}, 1.5, lookAlpha()).power
		if power < last || power > 1 {
			t.Errorf("power %v with %v sessions, after %v", power, n, last)
		}
		last = power
	}
	if last < 0.99 {
		t.Errorf("power %v with a hundred thousand sessions", last)
	}
}

func TestTheCriticalCountIsTheLeastThatIsSignificant(t *testing.T) {
	for _, n := range []uint64{0, 1, 10, 1000} {
		c := critical(n, 0.01, func(x uint64) float64 { return binomialTail(x, n, 0.1) })
		if binomialTail(c, n, 0.1) > 0.01 || c > 0 && binomialTail(c-1, n, 0.1) <= 0.01 {
			t.Errorf("n %d: critical %d", n, c)
		}
	}
}

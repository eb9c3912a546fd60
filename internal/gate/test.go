package gate

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// test is what came of a statistical test: the chance of counts like these or worse where all is as the threshold allows.
type test struct {
	name  string
	p     float64
	power float64 // to see a change of twice what the threshold allows, at alpha
}

// effect is the change that a test's power is stated for, as a factor.
const effect = 2

// many is how many events of each kind the normal approximation of a score test needs, so far out in its tail.
const many = 100

// binomialTail is P(X >= x) of n trials of chance p.
func binomialTail(x, n uint64, p float64) float64 {
	switch {
	case x == 0 || p >= 1:
		return 1
	case x > n || p <= 0:
		return 0
	}
	return mathext.RegIncBeta(float64(x), float64(n-x)+1, p)
}

// poissonTail is P(X >= x) of a Poisson count of that mean.
func poissonTail(x uint64, mean float64) float64 {
	switch {
	case x == 0:
		return 1
	case mean <= 0:
		return 0
	}
	return mathext.GammaIncReg(float64(x), mean)
}

// normalTail is P(Z >= z).
func normalTail(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// critical is the least count up to most whose tail is at most alpha, or one more than most.
func critical(most uint64, alpha float64, tail func(uint64) float64) uint64 {
	low, high := uint64(0), most+1
	for low < high {
		if mid := low + (high-low)/2; tail(mid) <= alpha {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// shareOver tests whether a share of x in n is over a limit.
func shareOver(x, n uint64, limit, alpha float64) test {
	if n == 0 {
		return test{name: "exact binomial", p: 1}
	}
	c := critical(n, alpha, func(x uint64) float64 { return binomialTail(x, n, limit) })
	return test{"exact binomial", binomialTail(x, n, limit), binomialTail(c, n, worse(limit))}
}

// worse is a share of twice the limit, or halfway to all where that is less.
func worse(limit float64) float64 { return min(effect*limit, (1+limit)/2) }

// countOver tests whether x events in n trials, of which each may have several, are over a limit for one.
func countOver(x, n uint64, limit, alpha float64) test {
	if n == 0 {
		return test{name: "exact Poisson", p: 1}
	}
	mean := limit * float64(n)
	c := critical(uint64(mean+40*math.Sqrt(mean)+100), alpha, func(x uint64) float64 { return poissonTail(x, mean) })
	return test{"exact Poisson", poissonTail(x, mean), poissonTail(c, effect*mean)}
}

// sample is a count of events and what they came of: trials, or seconds.
type sample struct {
	x uint64
	n float64
}

func (s sample) rate() float64 {
	if s.n == 0 {
		return 0
	}
	return float64(s.x) / s.n
}

// rateOver tests whether the rate of one is more than so many times that of another. Given the sum of two Poisson counts,
// one of them is binomial: exact, whatever the rates are.
func rateOver(one, other sample, times, alpha float64) test {
	name := "exact conditional (binomial), rate ratio"
	if one.n <= 0 || other.n <= 0 {
		return test{name: name, p: 1}
	}
	p := times * one.n / (times*one.n + other.n)
	return test{name, binomialTail(one.x, one.x+other.x, p), ratioPower(one.n, other, times, alpha)}
}

// rateUnder is the other direction: less than so many times.
func rateUnder(one, other sample, times, alpha float64) test {
	return test{
		name: rateOver(one, other, times, alpha).name,
		p:    rateOver(other, one, 1/times, alpha).p,
		// The power is that of one whose rate is half of what is allowed.
		power: powerOf(one.n*times*someRate(other)/effect, float64(other.x), alpha),
	}
}

// ratioPower is the power to see twice the ratio that is allowed.
func ratioPower(n float64, other sample, times, alpha float64) float64 {
	return powerOf(n*effect*times*someRate(other), float64(other.x)+0.5, alpha)
}

// someRate keeps a rate of nothing from being none.
func someRate(s sample) float64 {
	if s.n <= 0 {
		return 0
	}
	return (float64(s.x) + 0.5) / s.n
}

// powerOf a change by effect, where so many events are expected of both: by the normal approximation of a log ratio.
func powerOf(one, other, alpha float64) float64 {
	if one <= 0 || other <= 0 {
		return 0
	}
	return normalTail(mathext.NormalQuantile(1-alpha) - math.Log(effect)/math.Sqrt(1/one+1/other))
}

// sharesOver tests whether a share is more than so many times another: exactly where it can be, by a score test with many
// events, and with few by the exact test of rates, which errs on the safe side for shares.
func sharesOver(one, other sample, times, alpha float64) test {
	one.n, other.n = max(one.n, float64(one.x)), max(other.n, float64(other.x))
	t := rateOver(one, other, times, alpha)
	if one.n == 0 || other.n == 0 {
		return t
	}
	switch {
	case times == 1:
		t.name, t.p = "Fisher's exact", fisher(one, other)
	case min(one.n*other.rate(), float64(other.x), other.n-float64(other.x)) >= many:
		t.name, t.p = "score (Farrington and Manning), share ratio", scoreOver(one, other, times)
	}
	return t
}

// fisher is the chance that one has so many of all events or more, where each trial is as likely to have one.
func fisher(one, other sample) float64 {
	x, events := float64(one.x), float64(one.x+other.x)
	if x > events*one.n/(one.n+other.n) {
		return hypergeometric(one.n, other.n, events, x, 1)
	}
	return 1 - hypergeometric(one.n, other.n, events, x-1, -1)
}

// hypergeometric sums the chances from x on, away from the mean, where each is less than the one before.
func hypergeometric(n1, n0, events, x, step float64) float64 {
	all, sum := logChoose(n1+n0, events), 0.0
	for ; x >= max(0, events-n0) && x <= min(events, n1); x += step {
		term := math.Exp(logChoose(n1, x) + logChoose(n0, events-x) - all)
		if sum += term; term <= sum*1e-12 {
			break
		}
	}
	return min(sum, 1)
}

func logChoose(n, k float64) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}

// scoreOver is the p-value of Farrington and Manning's score test of a ratio of shares (Statistics in Medicine 9, 1990):
// the variance is that of the likeliest shares with just this ratio.
func scoreOver(one, other sample, times float64) float64 {
	p1, p0, theta := one.rate(), other.rate(), other.n/one.n
	a := 1 + theta
	b := -(times*(1+theta*p0) + theta + p1)
	c := times * (p1 + theta*p0)
	q1 := (-b - math.Sqrt(max(0, b*b-4*a*c))) / (2 * a)
	q0 := q1 / times
	variance := q1*(1-q1)/one.n + times*times*q0*(1-q0)/other.n
	if variance <= 0 {
		if p1 > times*p0 {
			return 0
		}
		return 1
	}
	return normalTail((p1 - times*p0) / math.Sqrt(variance))
}

// hazardOver tests whether sessions end so many times as fast as others of the same age, up to the age of the last bucket: a
// log-rank test, with the sessions that are still there as censored. Each has its ends by bucket, and how many began. Given
// all ends, those of one are a sum of binomial counts, a bucket each, whose tail is no more than that of one binomial with
// their mean (Hoeffding 1956): so few ends, or few sessions, are no trouble.
func hazardOver(one, other []uint64, begun1, begun0 uint64, times, alpha float64) test {
	risk1, risk0 := float64(begun1), float64(begun0)
	var x, all uint64
	var mean, soon, before float64
	for i := range min(len(one), len(other)) {
		d1, d0 := one[i], other[i]
		risk1, risk0 = max(risk1, float64(d1)), max(risk0, float64(d0))
		if risk1 == 0 || risk0 == 0 {
			break
		}
		x, all = x+d1, all+d1+d0
		mean += float64(d1+d0) * times * risk1 / (times*risk1 + risk0)
		soon += effect * times * risk1 * float64(d0) / risk0
		before += float64(d0)
		risk1, risk0 = risk1-float64(d1), risk0-float64(d0)
	}
	t := test{name: "log-rank, hazard ratio", p: 1, power: powerOf(soon, before, alpha)}
	if all > 0 {
		t.p = binomialTail(x, all, mean/float64(all))
	}
	return t
}

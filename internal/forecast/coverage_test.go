package forecast_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ebbtide/ebbtide/internal/forecast"
)

// An interval that is to cover the truth four times of five does so, give or take what so many trials leave to chance;
// likewise one of nineteen times in twenty. It says neither too much nor too little, whatever the lengths are like.
func TestAnIntervalCoversTheTruthAsOftenAsItSays(t *testing.T) {
	const runs = 100
	for _, size := range []struct {
		sessions int
		since    float64 // seconds before the flip at which sessions began to come
	}{{100, 3000}, {1000, 4000}} {
		for name, length := range lengths {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				in80, in95 := 0, 0
				for run := range runs {
					s := newService(rand.New(rand.NewPCG(7, uint64(run))), size.sessions, size.since, length)
					last := mustFit(t, s.sample()).Last(grouped(s.ages))
					in80 += covers(last, 0.8, s.last)
					in95 += covers(last, 0.95, s.last)
				}
				mustAgree(t, in80, runs, 0.8)
				mustAgree(t, in95, runs, 0.95)
			})
		}
	}
}

func covers(l forecast.Last, share, truth float64) int {
	if truth < l.Quantile((1-share)/2) || truth > l.Quantile((1+share)/2) {
		return 0
	}
	return 1
}

// mustAgree lets a count be off by three standard deviations.
func mustAgree(t *testing.T, got, runs int, share float64) {
	t.Helper()
	want, sd := share*float64(runs), math.Sqrt(share*(1-share)*float64(runs))
	if off := float64(got) - want; math.Abs(off) > 3*sd {
		t.Errorf("%d of %d intervals of %g%% cover the truth, want %.0f give or take %.0f", got, runs, 100*share, want, 3*sd)
	}
}

// What came, in the order in which it came: at each point of a real drain the forecast is made from what was known then.
func TestAReplayedDrainEndsWithinItsForecasts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	s := newService(r, 3000, 6000, lengths["log-normal"])
	ages, rest := s.ages, make([]float64, len(s.ages))
	for i, age := range ages { // lengths of those that live, given their ages
		for rest[i] <= 0 {
			rest[i] = lengths["log-normal"](r) - age
		}
	}
	end := 0.0
	for _, x := range rest {
		end = max(end, x)
	}
	misses, asked := 0, 0
	for now := 0.0; now < end; now += end / 20 {
		var ended, living []float64
		for i, x := range rest {
			if x <= now {
				ended = append(ended, ages[i]+x)
			} else {
				living = append(living, ages[i]+now)
			}
		}
		sample := forecast.Sample{Ended: binned(append(ended, s.ended...)), Living: grouped(living)}
		asked++
		misses += 1 - covers(mustFit(t, sample).Last(grouped(living)), 0.95, end-now)
	}
	if misses > asked/10 {
		t.Errorf("%d of %d forecasts of 95%% missed the end of the drain", misses, asked)
	}
}

// Without the living, which are the long ones, all sessions would seem short.
func TestTheLivingCount(t *testing.T) {
	s := newService(rand.New(rand.NewPCG(5, 5)), 4000, 700, lengths["exponential"])
	with := mustFit(t, s.sample())
	without := mustFit(t, forecast.Sample{Ended: binned(s.ended)})
	const median = 600 * math.Ln2
	if got := with.Length(0.5); math.Abs(got/median-1) > 0.1 {
		t.Errorf("the median length is %.0f s, want about %.0f", got, median)
	}
	if got := without.Length(0.5); got > 0.8*median {
		t.Errorf("without the living the median is %.0f s: the test shows nothing", got)
	}
}

// Sessions that are seen only from an age on tell nothing of those that ended before it.
func TestSessionsSeenLateAreNotTakenForLongOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	var ended, late []float64
	for len(ended) < 3000 {
		if from, l := 300+300*r.Float64(), lengths["exponential"](r); l > from {
			ended, late = append(ended, l), append(late, from)
		} else if l := lengths["exponential"](r); len(ended)%3 == 0 && l < 600 { // a few from their begin, so that there is a begin
			ended, late = append(ended, l), append(late, 0)
		}
	}
	m := mustFit(t, forecast.Sample{Ended: binned(ended), Late: grouped(late)})
	got := m.Survival(1200) / m.Survival(600)
	if want := math.Exp(-1); math.Abs(got/want-1) > 0.1 {
		t.Errorf("of those of 600 s %.3f last to 1200 s, want about %.3f", got, want)
	}
	blind := mustFit(t, forecast.Sample{Ended: binned(ended)})
	if got, want := blind.Survival(500), m.Survival(500); got < want {
		t.Errorf("without their begins %.3f last 500 s, with them %.3f: the test shows nothing", got, want)
	}
}

func TestWithoutAnEndThereIsNoForecast(t *testing.T) {
	_, err := forecast.Fit(forecast.Sample{Living: grouped([]float64{5, 7})})
	if !errors.Is(err, forecast.ErrNoEnds) {
		t.Errorf("got %v", err)
	}
}

// The fewer have ended, the less is known.
func TestFewEndsMakeAWideInterval(t *testing.T) {
	width := func(sessions int) float64 {
		s := newService(rand.New(rand.NewPCG(9, 9)), sessions, 3000, lengths["exponential"])
		l := mustFit(t, s.sample()).Last([]forecast.Group{{Age: 300, N: 10}})
		return l.Quantile(0.9) / l.Quantile(0.1)
	}
	few, many := width(20), width(4000)
	if few < 1.3*many {
		t.Errorf("from few ends the interval spans a factor of %.1f, from many %.1f", few, many)
	}
}

// Older than all others is older than 99% of them.
func TestTheOldestAreCounted(t *testing.T) {
	s := newService(rand.New(rand.NewPCG(8, 8)), 5000, 20000, lengths["exponential"])
	m := mustFit(t, s.sample())
	got := m.Older([]forecast.Group{{Age: 600, N: 100}, {Age: 6000, N: 3}}, 0.99)
	if got != 3 {
		t.Errorf("%v are older than 99%%, want 3", got)
	}
}

// Fifty services, ten thousand living sessions each: what a round of forecasts costs.
func BenchmarkFiftyServices(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var samples []forecast.Sample
	for range 50 {
		s := newService(r, 100_000, 6000, lengths["log-normal"])
		samples = append(samples, forecast.Sample{Ended: binned(s.ended), Living: grouped(s.ages)})
	}
	for b.Loop() {
		for _, s := range samples {
			m := mustFit(b, s)
			m.Last(s.Living).Quantile(0.5)
		}
	}
}

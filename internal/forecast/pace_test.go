package forecast_test

import (
	"math/rand/v2"
	"testing"

	"github.com/ebbtide/ebbtide/internal/forecast"
)

// drained goes through a drain with a look each so many seconds, and says at which time it looks stalled first, and when
// the last one is gone; stay of the sessions never end.
func drained(tb testing.TB, r *rand.Rand, s service, length func(*rand.Rand) float64, stay int) (stalled, over float64) {
	tb.Helper()
	const every = 20.0
	m := mustFit(tb, s.sample())
	ends := make([]float64, len(s.ages))
	for i, age := range s.ages {
		for ends[i] <= age {
			ends[i] = length(r)
		}
		if i < stay {
			ends[i] = 1e18
		}
	}
	var p forecast.Pace
	left := len(s.ages)
	for now := every; now < 1e6 && left > 0; now += every {
		var living []float64
		for i, end := range ends {
			if age := s.ages[i] + now; age < end {
				living = append(living, age)
			}
		}
		p.See(m, grouped(living), now, every, float64(left-len(living)))
		if left = len(living); p.Worst().Stalled() && left > 0 {
			return now, 0
		}
		over = now
	}
	return 0, over
}

// Sessions that end as all others do do not seem stalled, however long the last one takes.
func TestADrainThatGoesOnIsNotStalled(t *testing.T) {
	for name, length := range lengths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(12) {
				r := rand.New(rand.NewPCG(11, seed))
				s := newService(r, 500, 3000, length)
				if at, _ := drained(t, r, s, length, 0); at > 0 {
					t.Errorf("seed %d: stalled after %.0f s", seed, at)
				}
			}
		})
	}
}

// Three that stay are found out, and not before they have outstayed what others do.
func TestSessionsThatStayStallADrain(t *testing.T) {
	for name, length := range lengths {
		r := rand.New(rand.NewPCG(12, 12))
		s := newService(r, 500, 3000, length)
		at, over := drained(t, r, s, length, 3)
		if at == 0 {
			t.Errorf("%s: three that stay for ever were not found out in %.0f s", name, over)
		}
		if at < 600 {
			t.Errorf("%s: stalled after %.0f s already", name, at)
		}
	}
}

package gate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// world draws sessions as a service has them: with so many a second, of which shares go wrong.
type world struct {
	rate                 float64 // new sessions a second
	never, orphan, reset float64 // shares
	length               float64 // mean, in seconds
}

const (
	beforeFor = 10 * time.Minute
	window    = 5 * time.Minute
)

// draw adds what a time brings.
func (w world) draw(rng *rand.Rand, c *Counts, r *Rate, d time.Duration) {
	n := poisson(rng, w.rate*d.Seconds())
	r.Count, r.For = r.Count+n, r.For+d
	c.Begun += n
	c.Settled += n
	c.NeverEstablished += binomial(rng, n, w.never)
	c.Orphans += binomial(rng, n, w.orphan)
	c.Resets += poisson(rng, w.reset*float64(n))
	c.SYNRetransmits += poisson(rng, w.reset*float64(n))
}

// live draws lengths for sessions that began over a time: those that are over by its end have one.
func (w world) live(rng *rand.Rand, n uint64, over time.Duration) []uint64 {
	ends := make([]uint64, 20)
	for range n {
		age := rng.Float64() * over.Seconds()
		length := rng.ExpFloat64() * w.length
		if length <= age {
			ends[max(0, int(math.Ceil(math.Log2(length))))]++
		}
	}
	return ends
}

// poisson and binomial are normal where that is near enough.
func poisson(rng *rand.Rand, mean float64) (n uint64) {
	if mean > 500 {
		return uint64(max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
	}
	for p := rng.ExpFloat64(); p < mean; p += rng.ExpFloat64() {
		n++
	}
	return n
}

func binomial(rng *rand.Rand, n uint64, p float64) (x uint64) {
	for range n {
		if rng.Float64() < p {
			x++
		}
	}
	return x
}

// run watches one release: whether the gate failed at one of its looks, and its last reading.
func run(rng *rand.Rand, g config.Gate, before, after world) (failed bool, last Reading) {
	var f Facts
	before.draw(rng, &f.Old, &f.Before, beforeFor)
	if g.Kernel == config.EarlyEnds {
		f.Old.Ended = before.live(rng, f.Old.Begun, time.Hour)
	}
	done := 0.0
	for i, part := range looks {
		after.draw(rng, &f.New, &f.Since, time.Duration((part-done)*float64(window)))
		done = part
		if g.Kernel == config.EarlyEnds {
			f.New.Ended = after.live(rng, f.New.Begun, f.Since.For)
		}
		look := ALook
		if i == len(looks)-1 {
			look = LastLook
		}
		if last = kernel(g, f, look); last.Verdict == Fail {
			return true, last
		}
	}
	return false, last
}

// calm is a service where all is well.
var calm = world{rate: 5, never: 0.04, orphan: 0.03, reset: 0.05, length: 600}

func bounds(fact config.KernelFact) config.Gate {
	g := config.Gate{Kernel: fact, Window: window, Max: &config.Bound{Value: 1, Times: true}}
	if fact == config.NewSessions {
		g.Min = &config.Bound{Value: 1, Times: true}
	}
	return g
}

var kernelFacts = []config.KernelFact{
	config.NewSessions, config.NeverEstablished, config.Resets, config.EarlyEnds, config.SYNRetransmits, config.Orphans,
}

// With all looks together a gate errs no more often than it says, though the truth lies on its very threshold. Two bounds
// are two tests, and each may err.
func TestWithoutAChangeAGateFailsNoMoreOftenThanAlpha(t *testing.T) {
	const releases = 600
	for _, fact := range kernelFacts {
		for _, of := range []world{calm, {rate: 0.2, never: 0.3, orphan: 0.2, reset: 0.5, length: 60}} {
			rng := rand.New(rand.NewPCG(1, 2))
			failures := 0
			for range releases {
				if failed, _ := run(rng, bounds(fact), of, of); failed {
					failures++
				}
			}
			alpha := Alpha
			if fact == config.NewSessions {
				alpha *= 2
			}
			if most := releases*alpha + 3*math.Sqrt(releases*alpha); float64(failures) > most {
				t.Errorf("%s, %g a second: %d of %d releases failed, alpha is %g", fact, of.rate, failures, releases, alpha)
			}
		}
	}
}

// The score test takes the place of the exact one where there are many events: it may be no worse.
func TestTheScoreTestErrsNoMoreOftenEither(t *testing.T) {
	const releases = 300
	g := config.Gate{Kernel: config.NeverEstablished, Window: window, Max: &config.Bound{Value: 1.5, Times: true}}
	rng := rand.New(rand.NewPCG(1, 2))
	failures, scores := 0, 0
	before := world{rate: 50, never: 0.3}
	for range releases {
		failed, last := run(rng, g, before, world{rate: 50, never: 0.45})
		if failed {
			failures++
		}
		if last.Test == "score (Farrington and Manning), share ratio" {
			scores++
		}
	}
	if failures > 9 || scores < releases/2 {
		t.Errorf("%d of %d releases failed, %d were judged by the score test", failures, releases, scores)
	}
}

// What is plainly broken is found nearly always, and by the default thresholds.
func TestALargeChangeIsFound(t *testing.T) {
	const releases = 100
	broken := map[config.KernelFact]world{
		config.NewSessions:      {rate: 1, never: calm.never, orphan: calm.orphan, reset: calm.reset, length: calm.length},
		config.NeverEstablished: {rate: 5, never: 0.2},
		config.Resets:           {rate: 5, reset: 0.3},
		config.EarlyEnds:        {rate: 5, length: 10},
		config.SYNRetransmits:   {rate: 5, reset: 0.3},
		config.Orphans:          {rate: 5, orphan: 0.2},
	}
	for _, fact := range kernelFacts {
		g := config.Gate{Kernel: fact, Window: window, Max: &config.Bound{Value: 1.5, Times: true}}
		if fact == config.NewSessions {
			g.Min, g.Max = &config.Bound{Value: 0.5, Times: true}, nil
		}
		rng := rand.New(rand.NewPCG(3, 4))
		found := 0
		for range releases {
			if failed, _ := run(rng, g, calm, broken[fact]); failed {
				found++
			}
		}
		if found < 95 {
			t.Errorf("%s: %d of %d broken releases failed", fact, found, releases)
		}
	}
}

// The power that a reading claims is what the gate has: of changes twice what is allowed it finds so many at least.
func TestThePowerIsNotOverstated(t *testing.T) {
	const releases = 400
	g := config.Gate{Kernel: config.NeverEstablished, Window: window, Max: &config.Bound{Value: 1.5, Times: true}}
	rng := rand.New(rand.NewPCG(5, 6))
	claimed, found := 0.0, 0
	for range releases {
		var f Facts
		calm.draw(rng, &f.Old, &f.Before, beforeFor)
		world{rate: 2.4, never: 2 * 1.5 * calm.never}.draw(rng, &f.New, &f.Since, window)
		r := kernel(g, f, ALook)
		claimed += *r.Power / releases
		if r.Verdict == Fail {
			found++
		}
	}
	if share := float64(found) / releases; share < claimed-0.1 || claimed < 0.5 || claimed > 0.999 {
		t.Errorf("a power of %.2f is claimed, %.2f were found", claimed, share)
	}
}

func TestTooFewSessionsArePendingAndPassWhenTheWindowIsOver(t *testing.T) {
	g := config.Gate{Kernel: config.Resets, Window: window, Max: &config.Bound{Value: 1.5, Times: true}}
	f := Facts{New: Counts{Begun: 3, Resets: 1}, Old: Counts{Begun: 1000, Resets: 50}}
	for look, want := range map[Look]Verdict{NoLook: Pending, ALook: Pending, LastLook: Pass} {
		r := kernel(g, f, look)
		if r.Verdict != want || *r.Power >= MinPower {
			t.Errorf("look %d: %+v, want %s", look, r, want)
		}
		t.Log(r.Detail)
	}
}

// Whoever has had a minute only can't have seen hours: the old one's long sessions are no measure for the new one's.
func TestYoungSessionsAreNoEarlyEnds(t *testing.T) {
	g := config.Gate{Kernel: config.EarlyEnds, Window: window, Max: &config.Bound{Value: 1.5, Times: true}}
	f := Facts{
		New:   Counts{Begun: 1000, Ended: []uint64{10, 10, 10, 10, 10}},
		Old:   Counts{Begun: 1000, Ended: []uint64{10, 10, 10, 10, 10, 100, 200, 300, 350}},
		Since: Rate{1000, 20 * time.Second},
	}
	if r := kernel(g, f, LastLook); r.Verdict != Pass || *r.P < 0.5 {
		t.Errorf("%+v", r)
	}
	f.New.Ended = []uint64{100, 200, 200, 300, 100}
	if r := kernel(g, f, ALook); r.Verdict != Fail {
		t.Errorf("sessions of seconds pass: %+v", r)
	}
}

func TestAShareAsBoundIsTestedAgainstItself(t *testing.T) {
	g := config.Gate{Kernel: config.EarlyEnds, Window: window, Max: &config.Bound{Value: 0.02}}
	f := Facts{New: Counts{Begun: 1000, Ended: []uint64{10, 10, 10, 20, 500}}, Since: Rate{1000, time.Minute}}
	if r := kernel(g, f, ALook); r.Verdict != Fail || *r.Value != 0.05 || r.Before != nil || r.Threshold != "at most 2%" {
		t.Errorf("5%% pass at most 2%%: %+v", r)
	}
}

func TestLengthsThatNobodyCountsAreUnknown(t *testing.T) {
	g := config.Gate{Kernel: config.EarlyEnds, Window: window, Max: &config.Bound{Value: 0.02}}
	if r := kernel(g, Facts{New: Counts{Begun: 1000}}, LastLook); r.Verdict != Unknown || r.Value != nil {
		t.Errorf("%+v", r)
	}
}

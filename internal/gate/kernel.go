package gate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ebbtide/ebbtide/internal/config"
)

// Alpha is the chance that a gate of the kernel's counts fails in its whole window though all is as its threshold allows.
const Alpha = 0.01

// MinPower is the power from which a test that finds nothing is a pass.
const MinPower = 0.8

// looks are the parts of a window at whose ends a gate is judged. Each look at growing counts is another chance to be
// wrong, so each has its share of Alpha; that they come closer together at the start lets what is plain end early.
var looks = []float64{1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2, 1}

// lookAlpha is what one look may spend: with all of them together no more than Alpha (Bonferroni).
func lookAlpha() float64 { return Alpha / float64(len(looks)) }

// early is the length up to which a session counts as one that ended early, as a bucket of [Counts].Ended: eight seconds.
const early = 4

// measure is what a kernel's gate compares.
type measure struct {
	words  string // for people: "%s of 1000 sessions that ..." without its number
	value  float64
	before float64
	known  bool // there is a before
	test   test
}

// kernel judges by the kernel's counts. They decide only at a look; at the last one they have to.
func kernel(g config.Gate, f Facts, look Look) Reading {
	r := Reading{Threshold: thresholds(g)}
	if g.Kernel == config.EarlyEnds && f.New.Ended == nil {
		r.Verdict, r.Detail = Unknown, "how long sessions last is not counted"
		return r
	}
	worst := measure{test: test{p: 1, power: 1}}
	for _, b := range []struct {
		at    *config.Bound
		under bool
	}{{g.Min, true}, {g.Max, false}} {
		if b.at == nil {
			continue
		}
		m := measured(g.Kernel, f, *b.at, b.under)
		worst.words, worst.value, worst.before, worst.known = m.words, m.value, m.before, m.known
		if m.test.p < worst.test.p || worst.test.name == "" {
			worst.test.name, worst.test.p = m.test.name, m.test.p
		}
		worst.test.power = min(worst.test.power, m.test.power)
	}
	r.Value, r.Test, r.Alpha = number(worst.value), worst.test.name, lookAlpha()
	r.P, r.Power = number(worst.test.p), number(worst.test.power)
	if worst.known {
		r.Before = number(worst.before)
	}
	r.Verdict, r.Detail = judged(worst, look)
	return r
}

// judged turns a test into a verdict, and says why.
func judged(m measure, look Look) (Verdict, string) {
	said := m.words
	odds := fmt.Sprintf("p %s, power %s", figure(m.test.p), percent(m.test.power))
	switch {
	case look != NoLook && m.test.p <= lookAlpha():
		return Fail, fmt.Sprintf("%s: over the threshold by more than chance (%s)", said, odds)
	case look != NoLook && m.test.power >= MinPower:
		return Pass, fmt.Sprintf("%s (%s)", said, odds)
	case look == LastLook:
		return Pass, fmt.Sprintf("%s; the window is over, and there were too few sessions to be sure (%s)", said, odds)
	case m.test.power >= MinPower:
		return Pending, fmt.Sprintf("%s; it is judged at the next look (%s)", said, odds)
	}
	return Pending, fmt.Sprintf("%s; too few sessions to be sure yet (%s)", said, odds)
}

// measured gives the figures of a fact, and what a test says of one bound.
func measured(fact config.KernelFact, f Facts, b config.Bound, under bool) measure {
	alpha := lookAlpha()
	switch fact {
	case config.NewSessions:
		return arrivals(f, b, under, alpha)
	case config.EarlyEnds:
		return earlyEnds(f, b, alpha)
	case config.NeverEstablished:
		return shares("never established", f.New.NeverEstablished, f.New.Settled, f.Old.NeverEstablished, f.Old.Settled, b, alpha)
	case config.Orphans:
		return shares("from mid-stream", f.New.Orphans, f.New.Begun, f.Old.Orphans, f.Old.Begun, b, alpha)
	case config.Resets:
		return events("resets", f.New.Resets, f.New.Begun, f.Old.Resets, f.Old.Begun, b, alpha)
	}
	return events("SYNs sent again", f.New.SYNRetransmits, f.New.Begun, f.Old.SYNRetransmits, f.Old.Begun, b, alpha)
}

// arrivals compares the rate of new sessions. Who has less than he may have is as bad as who has more.
func arrivals(f Facts, b config.Bound, under bool, alpha float64) measure {
	now, before := sample{f.Since.Count, f.Since.For.Seconds()}, sample{f.Before.Count, f.Before.For.Seconds()}
	m := measure{value: now.rate(), before: before.rate(), known: before.n > 0}
	m.words = fmt.Sprintf("%s new sessions a second, %s before", figure(m.value), known(m.before, m.known))
	m.test = rateOver(now, before, b.Value, alpha)
	if under {
		m.test = rateUnder(now, before, b.Value, alpha)
	}
	return m
}

// shares compares a share of sessions.
func shares(what string, x, n, x0, n0 uint64, b config.Bound, alpha float64) measure {
	one, other := sample{x, float64(max(n, x))}, sample{x0, float64(max(n0, x0))}
	m := measure{value: one.rate(), before: other.rate(), known: other.n > 0}
	m.words = fmt.Sprintf("%d of %d sessions %s (%s), %s before", x, max(n, x), what, percent(m.value), knownShare(m.before, m.known))
	if b.Times {
		m.test = sharesOver(one, other, b.Value, alpha)
	} else {
		m.test = shareOver(x, max(n, x), b.Value, alpha)
	}
	return m
}

// events compares what a session may have several of.
func events(what string, x, n, x0, n0 uint64, b config.Bound, alpha float64) measure {
	one, other := sample{x, float64(n)}, sample{x0, float64(n0)}
	m := measure{value: one.rate(), before: other.rate(), known: other.n > 0}
	m.words = fmt.Sprintf("%d %s, %d sessions begun (%s), %s before", x, what, n, percent(m.value), knownShare(m.before, m.known))
	if b.Times {
		m.test = rateOver(one, other, b.Value, alpha)
	} else {
		m.test = countOver(x, n, b.Value, alpha)
	}
	return m
}

// earlyEnds compares how fast sessions end, at each age that the new ones can have by now; a share as bound is of those that
// lasted seconds only.
func earlyEnds(f Facts, b config.Bound, alpha float64) measure {
	x, x0 := ended(f.New, early), ended(f.Old, early)
	m := shares(fmt.Sprintf("lasted up to %d seconds", 1<<(early-1)), x, f.New.Begun, x0, f.Old.Begun, b, alpha)
	if b.Times {
		reached := reached(f)
		m.test = hazardOver(f.New.Ended[:min(reached, len(f.New.Ended))], f.Old.Ended, f.New.Begun, f.Old.Begun, b.Value, alpha)
	}
	return m
}

// reached is how many buckets the sessions that began with the watch have left behind them.
func reached(f Facts) int {
	buckets := 0
	for edge := 1.0; edge <= f.Since.For.Seconds(); edge *= 2 {
		buckets++
	}
	return buckets
}

func ended(c Counts, buckets int) (n uint64) {
	for _, x := range c.Ended[:min(buckets, len(c.Ended))] {
		n += x
	}
	return n
}

func known(n float64, is bool) string {
	if is {
		return figure(n)
	}
	return "unknown"
}

func knownShare(n float64, is bool) string {
	if is {
		return percent(n)
	}
	return "unknown"
}

// thresholds puts the bounds of a gate into words.
func thresholds(g config.Gate) string {
	var out []string
	for _, b := range []struct {
		words string
		at    *config.Bound
	}{{"at least", g.Min}, {"at most", g.Max}} {
		switch {
		case b.at == nil:
		case b.at.Times:
			out = append(out, fmt.Sprintf("%s %sx", b.words, figure(b.at.Value)))
		case g.Kernel != "":
			out = append(out, b.words+" "+percent(b.at.Value))
		default:
			out = append(out, b.words+" "+figure(b.at.Value))
		}
	}
	return strings.Join(slices.Clip(out), ", ")
}

// figure writes a number with what matters of it.
func figure(n float64) string {
	if n != 0 && math.Abs(n) < 1e-4 {
		return strconv.FormatFloat(n, 'g', 2, 64)
	}
	digits := 2
	if a := math.Abs(n); a < 1 && a > 0 {
		digits = 4
	} else if a >= 100 {
		digits = 0
	}
	text := strconv.FormatFloat(n, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func percent(share float64) string { return figure(100*share) + "%" }

package recording

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Tide is what a recording of the demo showed: the sessions that the backends of each colour had open, as they counted
// themselves, and when what happened.
type Tide struct {
	Samples          []Sample
	Flipped, Drained float64 // seconds since the beginning
	Players, Broken  int
}

// Sample is what was open at a time, in seconds since the beginning.
type Sample struct {
	At          float64
	Blue, Green int
}

var (
	sampleLine  = regexp.MustCompile(`^ *([\d.]+) s  blue +(\d+) \S+ +(\d+) green`)
	flipLine    = regexp.MustCompile(`^ *([\d.]+) s  flip: green \(version 2\.0\) is live`)
	drainedLine = regexp.MustCompile(`^ *([\d.]+) s  drained: generation 1 \(blue\) is empty`)
	endLine     = regexp.MustCompile(`^players (\d+) · broken (\d+) · new sessions on blue after the flip 0 `)
)

// TideOf reads it from the screen. The error says what a demo that went well would have shown.
func TideOf(c Cast) (Tide, error) {
	var t Tide
	ended := false
	for _, f := range c.frames() {
		for _, r := range f.rows {
			text := r.String()
			if m := sampleLine.FindStringSubmatch(text); m != nil {
				t.add(Sample{seconds(m[1]), number(m[2]), number(m[3])})
			} else if m := flipLine.FindStringSubmatch(text); m != nil {
				t.Flipped = seconds(m[1])
			} else if m := drainedLine.FindStringSubmatch(text); m != nil {
				t.Drained = seconds(m[1])
			} else if m := endLine.FindStringSubmatch(text); m != nil {
				t.Players, t.Broken, ended = number(m[1]), number(m[2]), true
			}
		}
	}
	switch {
	case len(t.Samples) < 2:
		return t, errors.New("the demo showed no tide")
	case t.Flipped == 0:
		return t, errors.New("the demo showed no flip to green")
	case t.Drained <= t.Flipped:
		return t, errors.New("the demo did not show that blue is drained after the flip")
	case !ended:
		return t, errors.New("the demo did not end with its figures, and 0 new sessions on blue")
	}
	return t, nil
}

// add takes a sample that is newer than the last one: a line stays on the screen for a while.
func (t *Tide) add(s Sample) {
	if n := len(t.Samples); n == 0 || t.Samples[n-1].At < s.At {
		t.Samples = append(t.Samples, s)
	}
}

// seconds and number read what an expression has matched as one.
func seconds(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("%q has matched as seconds: %v", text, err))
	}
	return v
}

func number(text string) int {
	v, err := strconv.Atoi(text)
	if err != nil {
		panic(fmt.Sprintf("%q has matched as a number: %v", text, err))
	}
	return v
}

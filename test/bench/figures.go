package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// figure is an element of bench.json. Goal and Met are null for a row that is there for information.
type figure struct {
	Name    string   `json:"name"`
	NS      float64  `json:"ns"`       // measured, the wrapper included
	NetNS   float64  `json:"net_ns"`   // without what the wrapper adds
	FloorNS float64  `json:"floor_ns"` // measured right before and after
	Ratio   float64  `json:"ratio"`    // of NetNS to FloorNS, or to what the name says
	Goal    *float64 `json:"goal"`
	Met     *bool    `json:"met"`
}

// sample is one row in one round.
type sample struct{ ns, net, floor float64 }

// rareRounds is how many rounds measure a row that takes long.
const rareRounds = 3

// measure takes all rows in turn, round after round, each with the floor right before and after it, and takes medians.
func (b *bench) measure() ([]figure, error) {
	rows := b.rows()
	samples := map[string][]sample{}
	for round := range b.rounds + 1 {
		for _, r := range rows {
			if r.again != "" || (r.rare && (round == 0 || round > rareRounds)) {
				continue
			}
			s, err := b.sample(r)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			if round > 0 { // the first round warms up
				samples[r.name] = append(samples[r.name], s)
			}
		}
	}
	return summaries(rows, samples), nil
}

func summaries(rows []row, samples map[string][]sample) []figure {
	figures := make([]figure, len(rows))
	for i, r := range rows {
		figures[i] = summary(r, samples)
	}
	return figures
}

func (b *bench) sample(r row) (sample, error) {
	before, err := b.lowest()
	if err != nil {
		return sample{}, err
	}
	ns, err := r.run()
	if err != nil {
		return sample{}, err
	}
	added, err := b.added(r)
	if err != nil {
		return sample{}, err
	}
	after, err := b.lowest()
	return sample{ns: ns, net: ns - added, floor: (before + after) / 2}, err
}

// lowest measures the floor.
func (b *bench) lowest() (float64, error) {
	return callerClock(b.floor.Programs["lowest"], gamePacket, b.repeats, tx)
}

// added is what a row's wrapper costs more than a program that does nothing: the runner's own loop is in the row as it
// is in the floor.
func (b *bench) added(r row) (float64, error) {
	if r.alone == nil {
		return 0, nil
	}
	nothing, err := b.hot.packets("empty", gamePacket, b.repeats, tx)()
	if err != nil {
		return 0, err
	}
	alone, err := r.alone()
	return alone - nothing, err
}

func summary(r row, samples map[string][]sample) figure {
	own, less, base := samples[r.name], samples[r.more], samples[r.over]
	if r.again != "" {
		own = samples[r.again]
	}
	ratios := make([]float64, len(own))
	for i, s := range own {
		what, to := s.net, s.floor
		switch {
		case r.more != "":
			what -= less[i].net
		case r.over != "":
			to = base[i].net
		case r.unit != 0:
			to = r.unit
		}
		ratios[i] = what / to
	}
	f := figure{
		Name: r.name, Ratio: median(ratios),
		NS:      medianOf(own, func(s sample) float64 { return s.ns }),
		NetNS:   medianOf(own, func(s sample) float64 { return s.net }),
		FloorNS: medianOf(own, func(s sample) float64 { return s.floor }),
	}
	if r.goal != 0 {
		met := f.Ratio <= r.goal
		f.Goal, f.Met = &r.goal, &met
	}
	return f
}

func medianOf(samples []sample, what func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = what(s)
	}
	return median(values)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func printFigures(out io.Writer, figures []figure) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "ns\tnet\tfloor\tratio\tgoal\tmet\t  ")
	for _, f := range figures {
		goal, met := "-", "-"
		if f.Goal != nil {
			goal, met = fmt.Sprintf("%.2f", *f.Goal), map[bool]string{true: "yes", false: "NO"}[*f.Met]
		}
		fmt.Fprintf(w, "%.1f\t%.1f\t%.1f\t%.2f\t%s\t%s\t  %s\n", f.NS, f.NetNS, f.FloorNS, f.Ratio, goal, met, f.Name)
	}
	w.Flush()
}

func writeFigures(name string, figures []figure) error {
	data, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(name, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

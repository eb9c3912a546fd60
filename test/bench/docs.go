package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

const (
	figuresFile = "bench.json"
	plotWidth   = 16 * vg.Centimeter
	plotHeight  = 9 * vg.Centimeter
)

// chart is a plot of what a packet costs, as a ratio to the floor, over what grows.
type chart struct {
	file, title, over string
	lines             []chartLine
}

// chartLine names the rows that its points are the figures of, by what they are plotted over.
type chartLine struct {
	name   string
	points []chartPoint
}

type chartPoint struct {
	label string
	row   string
}

func charts() []chart {
	flows := func(row func(bits int) string) (points []chartPoint) {
		for _, bits := range []int{14, 17, 20} {
			points = append(points, chartPoint{label: fmt.Sprintf("2^%d", bits), row: row(bits)})
		}
		return points
	}
	return []chart{
		{file: "flows.svg", title: "ipip, a packet of any of so many flows", over: "flows", lines: []chartLine{
			{"flow table", flows(flowsRow)}, {"kernel HASH", flows(hashRow)},
		}},
		{file: "services.svg", title: "dsr, established TCP", over: "listeners", lines: []chartLine{
			{"one flow", []chartPoint{{label: "5", row: plainRow}, {label: "100", row: fewRow}, {label: "10,000", row: crowdRow}}},
			{"a flow into each", []chartPoint{{label: "5", row: plainRow}, {label: "100", row: everyRow(100)}, {label: "10,000", row: everyRow(10_000)}}},
		}},
		{file: "cores.svg", title: "dsr, established TCP, on each of so many CPUs at once", over: "CPUs", lines: []chartLine{
			{"a flow of its own", []chartPoint{{label: "1", row: plainRow}, {label: "2", row: besideRow}}},
			{"the same flow", []chartPoint{{label: "1", row: plainRow}, {label: "2", row: sharedRow}}},
		}},
	}
}

// What stands around the table of figures in performance.md.
const (
	tableBegin = "<!-- Written from bench.json by: make bench-docs -->\n\n"
	tableEnd   = "\n<!-- The end of what is written. -->"
)

// writeDocs puts figures into the documentation: the file itself, its plots, and the table in performance.md.
func writeDocs(file, docs string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the figures: %w", err)
	}
	var figures []figure
	if err := json.Unmarshal(data, &figures); err != nil {
		return fmt.Errorf("read the figures in %s: %w", file, err)
	}
	beside := filepath.Join(docs, "performance")
	if err := os.MkdirAll(beside, 0o755); err != nil {
		return fmt.Errorf("make room for the plots: %w", err)
	}
	if err := os.WriteFile(filepath.Join(beside, figuresFile), data, 0o644); err != nil {
		return fmt.Errorf("keep the figures: %w", err)
	}
	if err := writePlots(beside, figures); err != nil {
		return err
	}
	return writeTable(filepath.Join(docs, "performance.md"), figures)
}

func writeTable(page string, figures []figure) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the page of the figures: %w", err)
	}
	head, rest, begins := strings.Cut(string(text), tableBegin)
	_, tail, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return fmt.Errorf("%s has no place for the figures: %q and %q", page, tableBegin, tableEnd)
	}
	if err := os.WriteFile(page, []byte(head+tableBegin+table(figures)+tableEnd+tail), 0o644); err != nil {
		return fmt.Errorf("write the page of the figures: %w", err)
	}
	return nil
}

// table is the figures as Markdown.
func table(figures []figure) string {
	var b strings.Builder
	b.WriteString("| row | net, ns | ratio | goal | met |\n| --- | ---: | ---: | ---: | --- |\n")
	for _, f := range figures {
		goal, met := "", ""
		if f.Goal != nil {
			goal, met = strconv.FormatFloat(*f.Goal, 'f', -1, 64), map[bool]string{true: "yes", false: "**no**"}[*f.Met]
		}
		fmt.Fprintf(&b, "| %s | %.1f | %.2f | %s | %s |\n", f.Name, f.NetNS, f.Ratio, goal, met)
	}
	return b.String()
}

// writePlots draws the plots of the figures in a directory.
func writePlots(dir string, figures []figure) error {
	net := map[string]float64{}
	for _, f := range figures {
		net[f.Name] = f.NetNS / f.FloorNS
	}
	for _, c := range charts() {
		p, err := c.plot(net)
		if err != nil {
			return fmt.Errorf("plot %s: %w", c.file, err)
		}
		if err := p.Save(plotWidth, plotHeight, filepath.Join(dir, c.file)); err != nil {
			return fmt.Errorf("write %s: %w", c.file, err)
		}
	}
	return nil
}

// plot draws a chart of ratios to the floor, by row.
func (c chart) plot(ratios map[string]float64) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, c.over, "× floor"
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	var labels []string
	for i, line := range c.lines {
		points := make(plotter.XYs, len(line.points))
		labels = nil
		for j, at := range line.points {
			ratio, ok := ratios[at.row]
			if !ok {
				return nil, fmt.Errorf("the figures have no row %q", at.row)
			}
			points[j] = plotter.XY{X: float64(j), Y: ratio}
			labels = append(labels, at.label)
			p.Y.Max = max(p.Y.Max, ratio*1.3)
		}
		drawn, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		drawn.Color, marks.Color, marks.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
		p.Add(drawn, marks)
		p.Legend.Add(line.name, drawn, marks)
	}
	p.NominalX(labels...)
	return p, nil
}

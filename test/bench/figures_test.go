package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// goals are those that the project has set itself, by row.
var goals = map[string]float64{
	"established TCP, dsr":        3.5,
	"established TCP, nat in":     4.5,
	"established TCP, nat reply":  4.5,
	"not ours":                    1.8,
	"new flow":                    30,
	"dsr, a million random flows": 0.45,
	"sweep, a slot":               1,
}

// keys of an element of bench.json.
var keys = []string{"floor_ns", "goal", "met", "name", "net_ns", "ns", "ratio"}

// One round of the bench, to see that each row still runs and what is written of it. It judges no figure: the machine
// that runs tests has other things to do.
func TestARoundWritesEveryGoalWithItsKeys(t *testing.T) {
	name := filepath.Join(t.TempDir(), "bench.json")
	if err := writeFigures(name, oneRound(t)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var written []map[string]any
	if err := json.Unmarshal(data, &written); err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range written {
		if got := slices.Sorted(maps.Keys(f)); !slices.Equal(got, keys) {
			t.Errorf("%v has the keys %v, want %v", f["name"], got, keys)
		}
		if goal, ok := f["goal"].(float64); ok {
			found[f["name"].(string)] = goal
		}
		if _, judged := f["met"].(bool); judged != (f["goal"] != nil) {
			t.Errorf("%v: goal %v, met %v", f["name"], f["goal"], f["met"])
		}
	}
	if !maps.Equal(found, goals) {
		t.Errorf("the goals are %v, want %v", found, goals)
	}
}

// oneRound takes one sample of each row that has a goal, and of the row that one of them is a ratio to.
func oneRound(t *testing.T) (figures []figure) {
	t.Helper()
	gc := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(gc) })
	if err := pinThread(); err != nil { // the thread ends with the test
		t.Fatal(err)
	}
	b := mustBench(t)
	rows := slices.DeleteFunc(b.rows(), func(r row) bool { return r.goal == 0 && r.name != hashRow })
	samples := map[string][]sample{}
	for _, r := range rows {
		s, err := b.sample(r)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		samples[r.name] = []sample{s}
	}
	for _, r := range rows {
		figures = append(figures, summary(r, samples))
	}
	return figures
}

// mustBench is newBench with a HASH of a thousand flows, which a million would take longer to fill than all the rest.
func mustBench(t *testing.T) *bench {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	must(rlimit.RemoveMemlock())
	spec, err := loadFloor()
	must(err)
	b := &bench{}
	b.floor, err = ebpf.NewCollection(spec)
	must(err)
	table, err := loadTable()
	must(err)
	b.hot, err = newPlane(table.Copy(), size{maxFlows: hotFlows, flows: 1})
	must(err)
	b.wide, err = newPlane(table, size{maxFlows: million, flows: million})
	must(err)
	hash, err := loadHash()
	must(err)
	b.hash, err = newPlane(hash, size{maxFlows: 1024, flows: 1000, hash: 1000})
	must(err)
	t.Cleanup(b.close)
	_, err = callerClock(b.hash.coll.Programs["fill"], gamePacket, 1000, tx)
	must(err)
	must(b.wide.fill())
	return b
}

package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/cilium/ebpf/rlimit"

	"github.com/ebbtide/ebbtide/test/host"
)

// goals are those that the project has set itself, by row.
var goals = map[string]float64{
	"established TCP, dsr":                                3,
	"established TCP, nat in":                             3.5,
	"established TCP, nat reply":                          3.5,
	"established TCP, ipip":                               4.5,
	"established UDP, dsr":                                3,
	"established UDP, ipip":                               4.5,
	"established IPv6 TCP, dsr":                           4,
	"established IPv6 TCP, ipip":                          5.5,
	"affinity client, more than dsr":                      0.5,
	"canary and testers set, more than dsr":               0.5,
	"100 listeners, more than dsr":                        0.5,
	"10,000 listeners and 65,000 backends, more than dsr": 0.5,
	"not ours, nat services configured":                   1.6,
	"new flow":                                            25,
	"new flow, 2^20 inserted":                             60,
	"SYN flood on a full table":                           45,
	"ipip, 2^14 random flows, to the HASH":                0.45,
	"ipip, 2^17 random flows, to the HASH":                0.45,
	"ipip, 2^20 random flows, to the HASH":                0.45,
	"ipip, 2^20 random flows, to an access to memory":     1.3,
	"sweep, a slot":                                       0.6,
	"ten million flows counted, ms":                       100,
	"ten million flows expired, ms":                       100,
	"the longest slice of those, ms":                      2,
	"flip, as the data plane sees the store, µs":          10,
	"flip, as its user sees it, ms":                       60,
}

func TestMain(m *testing.M) {
	host.Child() // the daemon that is flipped is this executable
	os.Exit(m.Run())
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

// small is a scale at which a round takes some seconds.
var small = scale{
	rounds: 1, repeats: 20_000, spread: 20_000, runs: 1, hot: 16384, flows: 1 << 13, swept: 80_000, crowd: 20, few: 10,
	chain: 1 << 10,
}

// oneRound takes one sample of each row.
func oneRound(t *testing.T) []figure {
	t.Helper()
	gc := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(gc) })
	other, err := pinThread() // the thread ends with the test
	if err != nil {
		t.Fatal(err)
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	b, err := newBench(small, other)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	rows := b.rows()
	samples := map[string][]sample{}
	for _, r := range rows {
		if r.again != "" {
			continue
		}
		s, err := b.sample(r)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		samples[r.name] = []sample{s}
	}
	return summaries(rows, samples)
}

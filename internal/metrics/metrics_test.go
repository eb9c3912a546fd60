package metrics_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/metrics"
)

var update = flag.Bool("update", false, "write testdata anew")

type source struct {
	figures metrics.Figures
	err     error
}

func (s source) Figures(context.Context) (metrics.Figures, error) { return s.figures, s.err }

// inDrain is a host in the middle of a drain, with a third generation that has
// lost its slot.
var inDrain = source{figures: metrics.Figures{
	LastSweep:    time.Unix(1_700_000_000, 250_000_000),
	ClockSet:     -90 * time.Second,
	SweepSeconds: 0.0125,
	MaxFlows:     800,
	Interfaces:   []api.Interface{{Name: "eth0", Mode: api.ModeNative, Attached: true}, {Name: "eth1", Mode: api.ModeGeneric}},
	Tables: []metrics.Table{
		{Table: api.Table{Family: "ipv4", Slots: 1000, Used: 60, Overflow: 2}, LongestProbe: 6},
		{Table: api.Table{Family: "ipv6", Slots: 500}},
	},
	Backends: 2,
	Generations: []metrics.Generation{
		{Service: "world", Generation: api.Generation{
			GenerationRef: api.GenerationRef{Number: 4, Colour: "green", Version: `2.0"\`}, State: api.StateLive, Roles: []string{api.RoleLive},
			Sessions: api.Sessions{HalfOpen: 1, Young: 2, Established: 30, Closing: 4, Evicting: 1, Total: 38},
			New:      40, Orphans: 1, Reopened: 2, Rejoined: 6, Moved: 5, Unpinned: 3, Packets: 5000, Bytes: 600000,
			Backends: []api.Backend{
				{Addresses: []string{"10.0.1.11", "fd00::11"}, Sessions: 30, Counted: true, Packets: 4000, Bytes: 500000, Health: &api.Health{Well: true}, NextHops: []api.NextHop{{State: api.HopResolved}, {State: api.HopResolved}}, Occupancy: &api.Occupancy{Players: new(uint64(31)), Free: new(uint64(69))}},
				{Addresses: []string{"10.0.1.12"}, Port: 8443, Sessions: 7, Health: &api.Health{Sick: "refused"}, NextHops: []api.NextHop{{State: api.HopResolved}, {State: "failed"}}, Occupancy: &api.Occupancy{Error: "no answer"}},
			},
		}},
		{Service: "world", Generation: api.Generation{
			GenerationRef: api.GenerationRef{Number: 3, Colour: "blue", Version: "1.9"}, State: api.StateDraining,
			Roles:    []string{api.RoleDraining, api.RoleStable},
			Sessions: api.Sessions{Established: 20, Total: 20}, New: 90, Packets: 9000, Bytes: 900000,
		}},
		{Service: "world", Generation: api.Generation{
			GenerationRef: api.GenerationRef{Number: 2, Version: "1.8"}, State: api.StateInconclusive,
			Sessions: api.Sessions{Established: 3, Total: 3}, New: 80, NewSinceFlip: 1,
		}},
	},
	Releases: []metrics.Release{{Service: "world", State: "paused", Strategy: "canary", Number: 7, Since: time.Unix(1_699_999_000, 0)}},
	Gates: []metrics.Gate{
		{Service: "world", Release: 7, GateReading: api.GateReading{Gate: "resets", Verdict: "fail", OnFail: "pause"}},
		{Service: "world", Release: 7, GateReading: api.GateReading{Gate: "errors", Verdict: "pass", OnFail: "rollback"}},
	},
	Reasons: map[string]uint64{"drop_no_generation": 5, "pass_not_ours": 70, "event_cas_lost": 8, "reasons": 9},
}}

func TestTheMetricsAreThoseOfTheGoldenFile(t *testing.T) {
	got, _, _ := strings.Cut(mustScrape(t, inDrain, http.StatusOK), "# HELP go_") // what follows changes from run to run
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s (write it anew with -update):\n%s", golden, got)
	}
}

// The library's parser reads the page, and finds nothing to complain of.
func TestTheMetricsFollowPrometheusRules(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(mustScrape(t, inDrain, http.StatusOK))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestAScrapeOfNothingYetIsSound(t *testing.T) {
	got := mustScrape(t, source{}, http.StatusOK)
	if want := "ebbtide_sweep_seconds 0\n"; !strings.Contains(got, want) {
		t.Errorf("%q is missing in\n%s", want, got)
	}
	if strings.Contains(got, "last_sweep") {
		t.Errorf("a sweep that never was has a time:\n%s", got)
	}
}

func TestAScrapeFailsWhenItsSourceDoes(t *testing.T) {
	if got := mustScrape(t, source{err: errors.New("no map")}, http.StatusInternalServerError); !strings.Contains(got, "no map") {
		t.Errorf("got %q", got)
	}
}

// mustScrape gives what Prometheus would get.
func mustScrape(tb testing.TB, s metrics.Source, status int) string {
	tb.Helper()
	w := httptest.NewRecorder()
	metrics.Handler(s).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != status {
		tb.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	return w.Body.String()
}

package metrics_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/metrics"
)

var update = flag.Bool("update", false, "write testdata anew")

type source struct {
	status     api.Status
	reasons    map[string]uint64
	statusErr  error
	reasonsErr error
}

func (s source) Status(context.Context) (api.Status, error) { return s.status, s.statusErr }
func (s source) Reasons() (map[string]uint64, error)        { return s.reasons, s.reasonsErr }

// inDrain is a host in the middle of a drain, with a third generation that has
// lost its slot.
var inDrain = source{
	status: api.Status{
		LastSweep:    time.Unix(1_700_000_000, 250_000_000),
		SweepSeconds: 0.0125,
		Interfaces:   []api.Interface{{Name: "eth0", Mode: api.ModeNative}, {Name: "eth1", Mode: api.ModeGeneric}},
		Tables:       []api.Table{{Family: "ipv4", Slots: 1000, Used: 60, Overflow: 2}, {Family: "ipv6", Slots: 500}},
		Services: []api.Service{{Name: "world", Generations: []api.Generation{
			{
				GenerationRef: api.GenerationRef{Number: 4, Colour: "green", Version: "2.0"}, State: api.StateLive,
				Sessions: api.Sessions{HalfOpen: 1, Young: 2, Established: 30, Closing: 4, Total: 37},
				New:      40, Orphans: 1, Reopened: 2, Unpinned: 3, Packets: 5000, Bytes: 600000,
			},
			{
				GenerationRef: api.GenerationRef{Number: 3, Colour: "blue", Version: "1.9"}, State: api.StateDraining,
				Sessions: api.Sessions{Established: 20, Total: 20}, New: 90, Packets: 9000, Bytes: 900000,
			},
			{
				GenerationRef: api.GenerationRef{Number: 2, Version: "1.8"}, State: api.StateInconclusive,
				Sessions: api.Sessions{Established: 3, Total: 3}, New: 80, NewSinceFlip: 1,
			},
		}}},
	},
	reasons: map[string]uint64{"drop_no_generation": 5, "pass_not_ours": 70, "event_cas_lost": 8, "reasons": 9},
}

func TestTheMetricsAreThoseOfTheGoldenFile(t *testing.T) {
	got := mustScrape(t, inDrain, http.StatusOK)
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

func TestTheMetricsFollowPrometheusRules(t *testing.T) {
	problems, err := testutil.CollectAndLint(metrics.NewCollector(inDrain))
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
	for _, s := range []source{{statusErr: errors.New("no map")}, {reasonsErr: errors.New("no map")}} {
		if got := mustScrape(t, s, http.StatusInternalServerError); !strings.Contains(got, "no map") {
			t.Errorf("got %q", got)
		}
	}
}

// mustScrape gives what Prometheus would get.
func mustScrape(tb testing.TB, s metrics.Source, status int) string {
	tb.Helper()
	h, err := metrics.Handler(s)
	if err != nil {
		tb.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if w.Code != status {
		tb.Fatalf("status %d, want %d: %s", w.Code, status, body)
	}
	return string(body)
}

package metrics_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ebbtide/ebbtide/internal/metrics"
)

func TestMetricsListenOnLoopbackOnly(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:0":          "",
		"127.8.9.1:0":          "",
		"[::ffff:127.0.0.1]:0": "",
		"0.0.0.0:0":            "not loopback",
		"[::]:0":               "not loopback",
		"192.0.2.1:9595":       "not loopback",
		"[2001:db8::1]:9595":   "not loopback",
		":9595":                "want an address and a port",
		"localhost:9595":       "want an address and a port",
		"127.0.0.1":            "want an address and a port",
	} {
		ln, err := metrics.Listen(addr)
		if err == nil {
			ln.Close()
		}
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", addr, err, want)
		}
	}
}

func TestMetricsAreServedUntilTheEnd(t *testing.T) {
	ln, err := metrics.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- metrics.Serve(ctx, ln, metrics.Handler(inDrain), slog.New(slog.DiscardHandler)) }()
	for path, want := range map[string]int{"/metrics": http.StatusOK, "/": http.StatusNotFound} {
		resp, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d (%v)", path, resp.StatusCode, want, err)
		}
		if want == http.StatusOK {
			mustHaveFamilies(t, string(body), "ebbtide_sessions", "go_goroutines", "process_open_fds", "process_resident_memory_bytes")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// mustHaveFamilies: a page of two writers is still one page.
func mustHaveFamilies(t *testing.T, page string, names ...string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if families[name] == nil {
			t.Errorf("the page has no %s", name)
		}
	}
}

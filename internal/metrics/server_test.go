package metrics_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

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
	h, err := metrics.Handler(inDrain)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := metrics.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- metrics.Serve(ctx, ln, h, slog.New(slog.DiscardHandler)) }()
	for path, want := range map[string]int{"/metrics": http.StatusOK, "/": http.StatusNotFound} {
		resp, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

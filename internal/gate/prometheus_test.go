package gate

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
)

// speaks is a server of Prometheus' query API, with one answer.
func speaks(tb testing.TB, status int, body string) (address string) {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/under/api/v1/query" || req.FormValue("query") != "sum(up)" {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	tb.Cleanup(s.Close)
	return s.URL + "/under"
}

func success(kind, result string) string {
	return fmt.Sprintf(`{"status": "success", "data": {"resultType": %q, "result": %s}}`, kind, result)
}

func TestAQueryIsComparedWithItsBounds(t *testing.T) {
	one := success("vector", `[{"metric": {}, "value": [1700000000, "0.02"]}]`)
	for _, row := range []struct {
		name    string
		status  int
		body    string
		verdict Verdict
		says    string
	}{
		{"a value within", 200, success("vector", `[{"metric": {"a": "b"}, "value": [1700000000, "0.01"]}]`), Pass, "0.01 is within the threshold"},
		{"a value over", 200, one, Fail, "0.02 is more than 0.01"},
		{"a value under", 200, success("scalar", `[1700000000, "-1"]`), Fail, "-1 is less than 0"},
		{"no value", 200, success("vector", `[]`), Unknown, "the query has no value"},
		{"two values", 200, success("vector", `[{"metric": {"a": "b"}, "value": [1, "0"]}, {"metric": {"a": "c"}, "value": [1, "0"]}]`), Unknown, "the query has 2 values"},
		{"a division by zero", 200, success("scalar", `[1700000000, "NaN"]`), Unknown, "the query's value is NaN"},
		{"a matrix", 200, success("matrix", `[]`), Unknown, "the query is a matrix"},
		{"a query that is none", 400, `{"status": "error", "errorType": "bad_data", "error": "parse error"}`, Unknown, "bad_data: parse error"},
		{"a server in trouble", 503, "out of order", Unknown, "server error: 503"},
		{"no JSON", 200, "<html>", Unknown, "ask Prometheus at http://"},
		{"an answer without end", 200, `{"status": "` + strings.Repeat("x", maxAnswer), Unknown, "the answer is longer than 1048576 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := config.Gate{
				Name: "errors", Prometheus: config.Prometheus{URL: speaks(t, row.status, row.body), Query: "sum(up)"},
				Min: &config.Bound{Value: 0}, Max: &config.Bound{Value: 0.01},
			}
			r := Evaluate(t.Context(), http.DefaultClient, g, Facts{}, NoLook, time.Now())
			if r.Verdict != row.verdict || !strings.Contains(r.Detail, row.says) || r.Threshold != "at least 0, at most 0.01" {
				t.Errorf("got %+v, want %s: %s", r, row.verdict, row.says)
			}
		})
	}
}

func TestWhoIsAwayIsUnknown(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close() // nobody listens there any more
	for _, g := range []config.Gate{
		{Prometheus: config.Prometheus{URL: s.URL + "/?token=secret", Query: "up"}, Max: &config.Bound{Value: 1}},
		{Webhook: s.URL + "/?token=secret"},
	} {
		r := Evaluate(t.Context(), http.DefaultClient, g, Facts{}, NoLook, time.Now())
		if r.Verdict != Unknown || !strings.Contains(r.Detail, "connection refused") || strings.Contains(r.Detail, "secret") {
			t.Errorf("%+v", r)
		}
	}
}

func TestWhoHangsIsUnknown(t *testing.T) {
	asked, done := make(chan struct{}, 2), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-done
	}))
	defer s.Close()
	defer close(done)
	for _, g := range []config.Gate{
		{Prometheus: config.Prometheus{URL: s.URL, Query: "up"}, Max: &config.Bound{Value: 1}},
		{Webhook: s.URL},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		if r := Evaluate(ctx, http.DefaultClient, g, Facts{}, NoLook, time.Now()); r.Verdict != Unknown {
			t.Errorf("%+v", r)
		}
	}
}

package gate

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/ebbtide/ebbtide/internal/config"
)

// FuzzAnswers has a Prometheus and a webhook that answer with anything: a gate passes by an answer that is one only, and what
// it says can be shown.
func FuzzAnswers(f *testing.F) {
	for _, text := range []string{
		`{"verdict":"pass","value":1}`, `{"verdict":"fail","detail":"\u001b[2J"}`, `{"verdict":"PASS"}`, `{"verdict":"pass"} {"verdict":"fail"}`,
		`{"verdict":"pass","detail":"` + strings.Repeat("x", 5000) + `"}`, success("scalar", `[1, "0.5"]`), success("vector", `[]`), success("scalar", `[1, "NaN"]`),
		success("matrix", `[]`), success("vector", `[{"metric":{},"value":[1,"1e309"]}]`), `{"status":"error","errorType":"\u001b","error":"\n\n"}`, "", "null", "[", "\xff",
	} {
		f.Add([]byte(text), 200)
	}
	f.Add([]byte(`{"verdict":"pass"}`), 302)
	f.Add([]byte(success("scalar", `[1, "0.5"]`)), 500)
	type said struct {
		text   []byte
		status int
	}
	var answer atomic.Pointer[said]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a := answer.Load()
		w.WriteHeader(a.status)
		w.Write(a.text)
	}))
	f.Cleanup(srv.Close)
	f.Fuzz(func(t *testing.T, text []byte, status int) {
		if status < 200 || status > 599 {
			t.Skip("no status")
		}
		answer.Store(&said{text, status})
		for _, g := range []config.Gate{
			{Name: "hook", Webhook: srv.URL},
			{Name: "query", Prometheus: config.Prometheus{URL: srv.URL, Query: "up"}, Max: &config.Bound{Value: 1}},
		} {
			var r Reading
			if g.Webhook != "" {
				r = webhook(t.Context(), srv.Client(), g, Facts{}, time.Time{})
			} else {
				r = prometheus(t.Context(), srv.Client(), g)
			}
			if strings.ContainsFunc(r.Detail, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: a detail that can't be shown: %q", g.Name, r.Detail)
			}
			if r.Value != nil && (math.IsNaN(*r.Value) || math.IsInf(*r.Value, 0)) {
				t.Errorf("%s: value %g", g.Name, *r.Value)
			}
			if r.Verdict == Pass && (status != http.StatusOK && g.Webhook != "" || status/100 != 2) {
				t.Errorf("%s: %d %q passes", g.Name, status, text)
			}
			switch r.Verdict {
			case Pass, Fail, Pending, Unknown:
			default:
				t.Errorf("%s: the verdict %q", g.Name, r.Verdict)
			}
		}
	})
}

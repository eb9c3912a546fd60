package occupancy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ebbtide/ebbtide/internal/plain"
)

// FuzzAnswer has a backend that says anything of its players: it is a number that could be one, or an error that can be shown.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		`{"players": 3, "free": 2}`, `{"players": -1}`, `{"players": 1e308}`, `{"players": "` + strings.Repeat("\x1b", 2000) + `"}`, "players 3\nfree 2",
		"players NaN", "players +Inf", "players{a=\"" + strings.Repeat("x", 5000) + "\"} y", "# TYPE players histogram\nplayers_bucket{le=\"1\"} 1", "{", "\x00",
		`{"players": 9007199254740993}`, "players 1\nplayers 1", `{"players":1,"players":2}`, strings.Repeat("[", 20_000), `{"a":` + strings.Repeat("[", 20_000),
	} {
		f.Add([]byte(text))
	}
	var answer atomic.Pointer[[]byte]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(*answer.Load()) }))
	f.Cleanup(srv.Close)
	f.Fuzz(func(t *testing.T, text []byte) {
		answer.Store(&text)
		r, err := Ask(t.Context(), srv.Client(), srv.URL, Names{"players", "free"})
		switch {
		case err != nil && plain.Text(err.Error()) != err.Error():
			t.Errorf("an error that can't be shown: %q", err)
		case err == nil && (r.Players > 1<<53 || r.Free != nil && *r.Free > 1<<53):
			t.Errorf("%q is %+v", text, r)
		}
	})
}

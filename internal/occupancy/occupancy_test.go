package occupancy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func free(n uint64) *uint64 { return &n }

func TestAnswersAreRead(t *testing.T) {
	for _, row := range []struct {
		answer  string
		players uint64
		free    *uint64
	}{
		{`{"players": 12, "free": 88, "map": {"name": "x"}}`, 12, free(88)},
		{"  {\"players\": 0}\n", 0, nil},
		{`{"players": 3, "free": null}`, 3, nil},
		{`{"players": 101, "free": -1}`, 101, free(0)},
		{"# TYPE players gauge\nplayers{zone=\"a\"} 3\nplayers{zone=\"b\"} 4\n# TYPE free gauge\nfree 2\nother_total 9", 7, free(2)},
		{"players 1e3\n", 1000, nil},
	} {
		r, err := ask(t, http.StatusOK, row.answer)
		if err != nil || r.Players != row.players || (r.Free == nil) != (row.free == nil) || r.Free != nil && *r.Free != *row.free {
			t.Errorf("%q: %+v, %v", row.answer, r, err)
		}
		if want := row.free != nil && *row.free == 0; r.Full() != want {
			t.Errorf("%q: full is %v", row.answer, r.Full())
		}
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	for _, row := range []struct {
		status       int
		answer, want string
	}{
		{http.StatusServiceUnavailable, `{"players": 1}`, "the answer is 503: want 200"},
		{http.StatusFound, "", "the answer is 302"},
		{http.StatusOK, `{"free": 1}`, "the answer has no players"},
		{http.StatusOK, ``, "the answer has no players"},
		{http.StatusOK, `{"players": "many"}`, "read players of the answer"},
		{http.StatusOK, `{"players": 1.5}`, "players is 1.5: want a whole number"},
		{http.StatusOK, `{"players": -1}`, "players is -1: want a whole number"},
		{http.StatusOK, `{"players": `, "read the answer as JSON"},
		{http.StatusOK, "players NaN", "players is NaN"},
		{http.StatusOK, "# TYPE players counter\nplayers 1", "players: want a gauge"},
		{http.StatusOK, "<html>", "read the answer as Prometheus' text"},
		{http.StatusOK, strings.Repeat(" ", maxAnswer+1), "larger than"},
	} {
		if _, err := ask(t, row.status, row.answer); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%d %.40q: %v, want %q", row.status, row.answer, err, row.want)
		}
	}
}

// ask asks a server that always answers so.
func ask(t *testing.T, status int, answer string) (Reading, error) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer srv.Close()
	return Ask(t.Context(), Client(), srv.URL, Names{"players", "free"})
}

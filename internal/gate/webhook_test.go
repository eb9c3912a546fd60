package gate

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/sign"
)

// answers is a webhook with one answer, that keeps what it was asked with.
func answers(tb testing.TB, status int, body string, asked *map[string]any) (address string) {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		text, err := io.ReadAll(req.Body)
		if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" || json.Unmarshal(text, asked) != nil {
			http.Error(w, "bad question", http.StatusBadRequest)
			return
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	tb.Cleanup(s.Close)
	return s.URL
}

func TestAWebhookJudges(t *testing.T) {
	for _, row := range []struct {
		name    string
		status  int
		body    string
		verdict Verdict
		says    string
	}{
		{"yes", 200, `{"verdict": "pass", "value": 3, "detail": "all is well"}`, Pass, "all is well"},
		{"no", 200, `{"verdict": "fail"}`, Fail, ""},
		{"not yet", 200, `{"verdict": "pending"}`, Pending, ""},
		{"another word", 200, `{"verdict": "ok"}`, Unknown, `its verdict is "ok": want pass, fail or pending`},
		{"no word", 200, `{}`, Unknown, `its verdict is ""`},
		{"no JSON", 200, `pass`, Unknown, "read the answer: invalid character"},
		{"an error", 500, `{"verdict": "pass"}`, Unknown, "the answer is 500: want 200"},
		{"an answer without end", 200, `{"verdict": "pass", "detail": "` + strings.Repeat("x", maxAnswer) + `"}`, Unknown, "the answer is longer than 1048576 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var asked map[string]any
			g := config.Gate{Name: "may-we", Webhook: answers(t, row.status, row.body, &asked)}
			f := Facts{Service: "world", From: 3, To: 4, New: Counts{Begun: 17}}
			r := Evaluate(t.Context(), http.DefaultClient, g, f, NoLook, time.Now())
			if r.Verdict != row.verdict || !strings.Contains(r.Detail, row.says) {
				t.Errorf("got %+v, want %s: %s", r, row.verdict, row.says)
			}
			if row.name == "yes" && (r.Value == nil || *r.Value != 3) {
				t.Errorf("its value is %v", r.Value)
			}
			counts, _ := asked["new"].(map[string]any)
			if asked["gate"] != "may-we" || asked["service"] != "world" || asked["to"] != 4.0 || counts["begun"] != 17.0 {
				t.Errorf("asked with %v", asked)
			}
		})
	}
}

// Who is asked can tell that it is ebbtide who asks, as a hook's receiver can.
func TestAWebhooksQuestionIsSigned(t *testing.T) {
	var header http.Header
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		header = req.Header
		body, _ = io.ReadAll(req.Body)
		io.WriteString(w, `{"verdict": "pass"}`)
	}))
	t.Cleanup(s.Close)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("it's a secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := config.Gate{Name: "may-we", Webhook: s.URL, SecretFile: secret}
	began := time.Now()
	// The release's clock is not that of whoever receives the question.
	if r := Evaluate(t.Context(), http.DefaultClient, g, Facts{}, NoLook, time.Unix(1, 0)); r.Verdict != Pass {
		t.Fatalf("%+v", r)
	}
	seconds, err := strconv.ParseInt(header.Get(sign.Timestamp), 10, 64)
	if err != nil || seconds < began.Unix() || seconds > time.Now().Unix() {
		t.Errorf("signed at %d, %v", seconds, err)
	}
	if _, want := sign.Sign([]byte("it's a secret"), body, time.Unix(seconds, 0)); header.Get(sign.Signature) != want {
		t.Errorf("the signature is %s, want %s", header.Get(sign.Signature), want)
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	header = nil
	r := Evaluate(t.Context(), http.DefaultClient, g, Facts{}, NoLook, time.Now())
	if r.Verdict != Unknown || !strings.Contains(r.Detail, "has mode 0644") || header != nil {
		t.Errorf("with a secret that others may read: %+v, and asked with %v", r, header)
	}
}

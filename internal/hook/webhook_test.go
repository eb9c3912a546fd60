package hook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/sign"
)

// receiver is a webhook's other side.
func receiver(t *testing.T, answer http.HandlerFunc) config.Hook {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return config.Hook{Webhook: config.Webhook{URL: server.URL + "/hook?token=hunter2"}, Timeout: time.Minute, Retries: 2}
}

func mustSecret(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAWebhookIsToldWithItsKeyAndASignature(t *testing.T) {
	var got *http.Request
	var body []byte
	h := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "thanks")
	})
	h.Webhook.SecretFile = mustSecret(t, "it's a secret\n", 0o600)
	res := run(t, h)
	if res.Err != nil || res.Attempts != 1 || res.HTTPStatus != http.StatusAccepted || res.Output != "thanks" {
		t.Fatalf("%+v", res)
	}
	program := run(t, shell("cat"))
	if got.Method != http.MethodPost || string(body) != program.Output {
		t.Errorf("it was told by %s:\n%s\na program:\n%s", got.Method, body, program.Output)
	}
	for name, want := range map[string]string{"Ebbtide-Key": "world/3/flip/1", "Ebbtide-Attempt": "1", "Content-Type": "application/json", "User-Agent": "ebbtide"} {
		if have := got.Header.Get(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	seconds, err := strconv.ParseInt(got.Header.Get("Ebbtide-Timestamp"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	_, want := sign.Sign([]byte("it's a secret"), body, time.Unix(seconds, 0))
	if have := got.Header.Get("Ebbtide-Signature"); have != want {
		t.Errorf("the signature is %s, want %s", have, want)
	}
}

func TestTheStatusSaysWhetherToTryAgain(t *testing.T) {
	for code, attempts := range map[int]int{
		200: 1, 204: 1, 299: 1,
		301: 1, 302: 1, 307: 1, 304: 1,
		400: 1, 401: 1, 404: 1, 410: 1,
		408: 3, 429: 3, 500: 3, 502: 3, 503: 3,
	} {
		var asked atomic.Int32
		res := run(t, receiver(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.WriteHeader(code)
		}))
		if (res.Err == nil) != (code < 300) || res.Attempts != attempts || int(asked.Load()) != attempts || res.HTTPStatus != code {
			t.Errorf("%d: asked %d times, %+v", code, asked.Load(), res)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var asked atomic.Int32
	other := receiver(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	h := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.Webhook.URL, http.StatusTemporaryRedirect)
	})
	res := run(t, h)
	mustSay(t, res.Err, "the answer 307 leads to "+other.String()+", which is not followed: name that address itself")
	if asked.Load() != 0 {
		t.Error("it was followed")
	}
}

func TestAWebhookThatFailsOnceIsTriedAgainWithTheSameBody(t *testing.T) {
	var mu sync.Mutex // the first answer is never seen to end
	var bodies []string
	res := run(t, receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if bodies = append(bodies, r.Header.Get("Ebbtide-Key")+string(body)); len(bodies) == 1 {
			panic(http.ErrAbortHandler) // the connection breaks
		}
	}))
	if res.Err != nil || res.Attempts != 2 || len(bodies) != 2 || bodies[0] != bodies[1] {
		t.Errorf("%+v, %q", res, bodies)
	}
}

func TestAWebhookThatHangsIsGivenUp(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	h := receiver(t, func(http.ResponseWriter, *http.Request) { <-hang })
	h.Timeout = 50 * time.Millisecond
	res := run(t, h)
	mustSay(t, res.Err, "attempt 3 of 3: it took longer than its timeout of 50ms")

	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("the daemon stops")
	asked := receiver(t, func(http.ResponseWriter, *http.Request) {
		cancel(stopped)
		<-hang
	})
	if res := runner().Run(ctx, asked, call()); !errors.Is(res.Err, stopped) || res.Attempts != 1 {
		t.Errorf("%+v", res)
	}
}

func TestAnAnswerWithoutEndIsAnAnswer(t *testing.T) {
	written := make(chan int, 1)
	flood := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		block, n := bytes.Repeat([]byte("x"), 1<<16), 0
		for {
			if _, err := w.Write(block); err != nil {
				written <- n
				return
			}
			n += len(block)
		}
	})
	if res := run(t, flood); res.Err != nil || res.HTTPStatus != http.StatusOK || len(res.Output) > 3*keptEnd {
		t.Errorf("%d bytes are kept, %v", len(res.Output), res.Err)
	}
	if n := <-written; n > 64<<20 { // what sockets hold is far less
		t.Errorf("%d bytes went out", n)
	}
	drip := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not look whether the other side has gone
		io.WriteString(w, "well")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	drip.Timeout = 24 * time.Hour
	if res := run(t, drip); res.Err != nil || res.HTTPStatus != http.StatusOK || res.Output != "well" {
		t.Errorf("%+v", res)
	}
	header := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		for range 100 {
			w.Header().Add("X-Flood", strings.Repeat("x", 1<<10))
		}
	})
	if res := run(t, header); res.Err == nil {
		t.Errorf("a header without bound is taken: %+v", res)
	}
}

func TestASecretThatIsNoneIsRefused(t *testing.T) {
	h := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called all the same") })
	h.Webhook.SecretFile = mustSecret(t, "abc", 0o640)
	res := run(t, h)
	mustSay(t, res.Err, "has mode 0640, so others have access to it")
	if res.Attempts != 1 {
		t.Errorf("tried %d times", res.Attempts)
	}
}

// Neither the secret nor what an address's query holds is in what goes to the journal and the log.
func TestNothingSecretIsTold(t *testing.T) {
	h := receiver(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	refused := h
	refused.Webhook.URL = "http://127.0.0.1:1/hook?token=hunter2"
	redirect := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/hook?token=hunter2", http.StatusFound)
	})
	for _, h := range []config.Hook{h, refused, redirect} {
		h.Webhook.SecretFile = mustSecret(t, "swordfish", 0o600)
		res := run(t, h)
		if res.Err == nil || strings.Contains(res.Err.Error(), "hunter2") || strings.Contains(res.Err.Error(), "swordfish") {
			t.Errorf("got %v", res.Err)
		}
	}
}

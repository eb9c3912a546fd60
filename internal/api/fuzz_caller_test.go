package api_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
)

// FuzzRequestOfAnOperatorOfOneService sends anything over the network as somebody who may ask for one service: what reaches the
// controller names it and nothing else, breaks no lock, and is not an admin's; all else is refused and has reached nobody.
func FuzzRequestOfAnOperatorOfOneService(f *testing.F) {
	for _, path := range []string{"flip", "rollback", "flows", "explain", "drain", "trace", "history", "lock", "plan", "reload", "detach", "status", "..%2fv1/flip", "flip/", "FLIP"} {
		for _, body := range []string{
			"", "{}", `{"service":"world"}`, `{"service":"lobby"}`, `{"service":"world","service":"lobby"}`, `{"service":"world","SERVICE":"lobby"}`,
			`{"Service":"lobby"}`, `{"service":"world","break_lock":true}`, `{"service":"world","generation":3,"group":"all"}`, `{"service":"wor\u006cd"}`,
			`{"service":"world\u0000"}`, `{"client":"192.0.2.7","seconds":10,"rate":1000,"service":"world"}`,
		} {
			f.Add("POST", path, body)
		}
	}
	f.Add("GET", "events?service=world&service=lobby", "")
	f.Add("GET", "events?service=lobby", "")
	f.Add("PUT", "flip", `{"service":"world"}`)
	var seen []any
	base := mustServeAs(f, api.Caller{Name: "olga", Via: api.ByCertificate, Role: config.Operator, Services: []string{"world"}}, recording(&seen))
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if len(body) > 60<<10 {
			t.Skip("more than a request may have, which has a test of its own")
		}
		r, err := http.NewRequest(method, base+"/v1/"+path, strings.NewReader(body))
		if err != nil || method == http.MethodConnect || !strings.HasPrefix(r.URL.Path, "/v1/") {
			t.Skip("no request to the API")
		}
		seen = nil
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Skip("nothing that can be sent: ", err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if len(seen) > 0 && resp.StatusCode != http.StatusOK {
			t.Errorf("%s %s %q: %s, and the controller saw %+v", method, path, body, resp.Status, seen)
		}
		for _, req := range seen {
			mustBeOfWorld(t, req)
		}
	})
}

func mustBeOfWorld(t *testing.T, req any) {
	t.Helper()
	v := reflect.ValueOf(req)
	if _, status := req.(struct{}); status { // its answer is narrowed
		return
	}
	if service := v.FieldByName("Service"); !service.IsValid() || service.String() != "world" {
		t.Errorf("the controller saw %T %+v", req, req)
	}
	if broken := v.FieldByName("BreakLock"); broken.IsValid() && broken.Bool() {
		t.Errorf("a lock is broken: %T %+v", req, req)
	}
	switch req.(type) {
	case api.TraceRequest, api.DetachRequest, api.ReloadRequest:
		t.Errorf("the controller saw %T", req)
	}
}

// mustServeAs serves on loopback to one caller, without TLS.
func mustServeAs(tb testing.TB, c api.Caller, ctl api.Controller) (base string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	enter := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.Name != "" {
				r = r.WithContext(api.WithCaller(r.Context(), c))
			}
			next.ServeHTTP(w, r)
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- api.ServeRemote(ctx, ln, ctl, enter, slog.New(slog.DiscardHandler)) }()
	tb.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		cancel()
		if err := <-over; err != nil {
			tb.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

func TestARequestOverTheNetworkWithoutACallerIsRefused(t *testing.T) {
	var seen []any
	base := mustServeAs(t, api.Caller{}, recording(&seen))
	resp, err := http.Post(base+"/v1/flip", "application/json", strings.NewReader(`{"service":"world"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || len(seen) != 0 {
		t.Errorf("%s, and the controller saw %v", resp.Status, seen)
	}
}

// endless is a body that says when somebody has read more of it than of any head.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) { e.read.Add(int64(len(p))); return len(p), nil }

// Nothing of a body is kept in memory for whose role does not let him send it.
func TestTheBodyOfWhoMayNotAskIsNotTaken(t *testing.T) {
	var seen []any
	base := mustServeAs(t, api.Caller{Name: "victor", Via: api.ByToken, Role: config.Viewer}, recording(&seen))
	body := &endless{}
	resp, err := http.Post(base+"/v1/plan", "application/json", io.LimitReader(body, 64<<20))
	if err == nil { // else the server has closed before the client read its answer, and what was taken is there to judge
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusForbidden || !bytes.Contains(text, []byte("takes operator")) {
			t.Errorf("%s %q %v", resp.Status, text, err)
		}
	}
	if len(seen) != 0 {
		t.Errorf("the controller saw %+v", seen)
	}
	if taken := body.read.Load(); taken >= 32<<20 {
		t.Errorf("%d bytes were taken", taken)
	}
}

package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// mustAsk sends one raw request.
func mustAsk(tb testing.TB, socket, method, path, body string) (status int, answer string) {
	tb.Helper()
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(tb.Context(), method, "http://ebbtide"+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(data))
}

func TestAnErrorHasItsStatusAndItsCode(t *testing.T) {
	for _, row := range []struct {
		name   string
		err    error
		status int
		code   api.Code
		text   string
	}{
		{"refused", api.Errorf(api.Refused, "green has no backend"), 409, api.Refused, "green has no backend"},
		{"usage", api.Errorf(api.Usage, "what?"), 400, api.Usage, "what?"},
		{"not found", api.Errorf(api.NotFound, "no service moon"), 404, api.NotFound, "no service moon"},
		{"failed", api.Errorf(api.Failed, "write live"), 500, api.Failed, "write live"},
		{"unavailable", api.Errorf(api.Unavailable, "importing"), 503, api.Unavailable, "importing"},
		{"any other error is failed", errors.New("disk on fire"), 500, api.Failed, "disk on fire"},
		{"a wrapped one keeps its code", fmt.Errorf("flip: %w", api.Errorf(api.Refused, "busy")), 409, api.Refused, "flip: busy"},
	} {
		t.Run(row.name, func(t *testing.T) {
			socket, _ := apitest.Serve(t, &apitest.Fake{
				OnFlip: func(context.Context, api.FlipRequest) (api.FlipResult, error) { return api.FlipResult{}, row.err },
			})
			status, answer := mustAsk(t, socket, "POST", "/v1/flip", `{"service":"world"}`)
			want := fmt.Sprintf(`{"code":%q,"error":%q}`, row.code, row.text)
			if status != row.status || answer != want {
				t.Errorf("got %d %s, want %d %s", status, answer, row.status, want)
			}
			_, err := api.New(socket).Flip(t.Context(), api.FlipRequest{Service: "world"})
			var got *api.Error
			if !errors.As(err, &got) || got.Code != row.code || got.Message != row.text {
				t.Errorf("the client got %v, want %s %s", err, row.code, row.text)
			}
		})
	}
}

func TestARequestThatMakesNoSenseNeverReachesTheController(t *testing.T) {
	socket, _ := apitest.Serve(t, &apitest.Fake{})
	for _, row := range []struct {
		name, method, path, body string
		status                   int
		answer                   string
	}{
		{"no service", "POST", "/v1/flip", `{}`, 400, `{"code":"usage","error":"service: missing"}`},
		{"no body", "POST", "/v1/rollback", ``, 400, `{"code":"usage","error":"service: missing"}`},
		{"no service to drain", "POST", "/v1/drain", `{"generation":3}`, 400, `{"code":"usage","error":"service: missing"}`},
		{"a colour that is none", "POST", "/v1/flip", `{"service":"world","to":"red"}`, 400,
			`{"code":"usage","error":"colour \"red\": want blue or green"}`},
		{"an unknown field", "POST", "/v1/flip", `{"service":"world","too":"green"}`, 400,
			`{"code":"usage","error":"read the request: json: unknown field \"too\""}`},
		{"two documents", "POST", "/v1/flip", `{"service":"world"}{}`, 400,
			`{"code":"usage","error":"read the request: something follows its end"}`},
		{"a state that is none", "POST", "/v1/flows", `{"state":"asleep"}`, 400,
			`{"code":"usage","error":"state \"asleep\": want half-open, young, established, closing, evicting"}`},
		{"a client that is none", "POST", "/v1/flows", `{"client":"10.0.0.0/33"}`, 400,
			`{"code":"usage","error":"client \"10.0.0.0/33\": want an address or a prefix such as 198.51.100.0/24"}`},
		{"a configuration without a name", "POST", "/v1/plan", `{"config":"YQ=="}`, 400, `{"code":"usage","error":"name: missing"}`},
		{"too large", "POST", "/v1/flip", `{"service":"` + strings.Repeat("x", 70<<10) + `"}`, 400,
			`{"code":"usage","error":"read the request: http: request body too large"}`},
		{"an unknown verb", "POST", "/v1/explode", ``, 404, `{"code":"not_found","error":"this daemon knows no POST /v1/explode"}`},
		{"a change by GET", "GET", "/v1/detach", ``, 404, `{"code":"not_found","error":"this daemon knows no GET /v1/detach"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, answer := mustAsk(t, socket, row.method, row.path, row.body)
			if status != row.status || answer != row.answer {
				t.Errorf("got %d %s\nwant %d %s", status, answer, row.status, row.answer)
			}
		})
	}
}

func TestAChangeOutlivesTheClientThatAskedForIt(t *testing.T) {
	begun, left, finished := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnFlip: func(ctx context.Context, _ api.FlipRequest) (api.FlipResult, error) {
			close(begun)
			<-left
			finished <- ctx.Err()
			return api.FlipResult{}, nil
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if _, err := api.New(socket).Flip(ctx, api.FlipRequest{Service: "world"}); !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	close(left)
	if err := <-finished; err != nil {
		t.Errorf("the flip was ended: %v", err)
	}
}

func TestAChangeFinishesWhenTheDaemonStops(t *testing.T) {
	begun := make(chan struct{})
	stopping := make(chan struct{})
	socket, stop := apitest.Serve(t, &apitest.Fake{
		OnDetach: func(context.Context, api.DetachRequest) error {
			close(begun)
			<-stopping
			return nil
		},
	})
	go func() {
		<-begun
		go stop()
		close(stopping)
	}()
	if err := api.New(socket).Detach(t.Context(), api.DetachRequest{}); err != nil {
		t.Errorf("got %v, want the answer", err)
	}
}

func TestEveryVerbBringsItsRequestAndItsAnswer(t *testing.T) {
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnStatus: func(context.Context) (api.Status, error) { return api.Status{Revision: 7}, nil },
		OnRollback: func(_ context.Context, req api.RollbackRequest) (api.FlipResult, error) {
			return api.FlipResult{Service: req.Service, Old: &api.GenerationRef{Number: 4}}, nil
		},
		OnPlan: func(_ context.Context, req api.PlanRequest) (api.Plan, error) {
			return api.Plan{Changes: []api.Change{{Service: req.Name, What: string(req.Config)}}}, nil
		},
		OnReload: func(context.Context, api.ReloadRequest) (api.Plan, error) { return api.Plan{}, nil },
	})
	client := api.New(socket)
	defer client.Close()
	if s, err := client.Status(t.Context()); err != nil || s.Revision != 7 {
		t.Errorf("status: %+v, %v", s, err)
	}
	if r, err := client.Rollback(t.Context(), api.RollbackRequest{Service: "world"}); err != nil || r.Service != "world" || r.Old.Number != 4 {
		t.Errorf("rollback: %+v, %v", r, err)
	}
	big := strings.Repeat("#", 1<<20)
	if p, err := client.Plan(t.Context(), api.PlanRequest{Name: "f", Config: []byte(big)}); err != nil || p.Changes[0] != (api.Change{Service: "f", What: big}) {
		t.Errorf("plan: %v", err)
	}
	if p, err := client.Reload(t.Context(), api.ReloadRequest{}); err != nil || p.Changes == nil || len(p.Changes) != 0 {
		t.Errorf("reload: %+v, %v", p, err)
	}
}

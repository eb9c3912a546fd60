package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// FuzzRequest sends any body to each verb: it reaches the controller once, as a request that makes sense and that is the
// same when it is sent again as the client would, or it is the asker's mistake, said in one line.
func FuzzRequest(f *testing.F) {
	for _, verb := range []string{"flip", "rollback", "drain", "flows", "explain", "release-group", "replay", "trace", "history", "lock", "unlock", "plan", "reload", "detach", "explode", "", "%2e%2e/status"} {
		for _, body := range []string{
			"", "{}", "null", "[]", `{"service":"world"}`, `{"service":"world","to":"green","force":true}`, `{"service":"world","generation":7}`,
			`{"group":"shard-1","do":"rollback","force":true}`, `{"group":"shard-1","do":"approve"}`, `{"group":"","do":"release"}`,
			`{"client":"2001:db8::/32","state":"closing","generation":4294967295}`, `{"generation":4294967296}`, `{"generation":-1}`,
			`{"client":"198.51.100.7","port":40000,"if_flipped":true}`, `{"client":"fe80::1%eth0"}`, `{"frames":["AAAA"]}`, `{"frames":["AgAAAAABAgAAAACqCAA="],"if_flipped":true}`, `{"name":"f","config":"aW50ZXJmYWNlczogW10="}`, `{"config":"!"}`, `{"service":"\ud800"}`, `{"SERVICE":"a"}`, `{"service":"a"} x`,
			`{"service":"a\nb"}`, `{"service":{}}`, "\xff", `{"service":`,
			`{"client":"192.0.2.7","seconds":10,"rate":1000,"sample":5,"frames":true}`, `{"client":"192.0.2.7","seconds":1e300,"rate":1}`,
		} {
			f.Add(verb, []byte(body))
		}
	}
	var seen []any
	socket, _ := apitest.Serve(f, recording(&seen))
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) },
	}}
	f.Cleanup(client.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, verb string, body []byte) {
		if len(body) > 60<<10 {
			t.Skip("more than a request may have, which has a test of its own")
		}
		url := "http://ebbtide/v1/" + verb
		if r, err := http.NewRequest(http.MethodPost, url, nil); err != nil || !strings.HasPrefix(r.URL.Path, "/v1/") {
			t.Skip("no URL of the API")
		}
		first := mustReach(t, client, &seen, url, body)
		if first == nil {
			return
		}
		if second := mustReach(t, client, &seen, url, first); !bytes.Equal(second, first) {
			t.Errorf("%q was read as %s, which sent again was read as %s", body, first, second)
		}
	})
}

// mustReach sends a request, and gives what reached the controller, as the client would send it: nil when it was refused.
func mustReach(t *testing.T, client *http.Client, seen *[]any, url string, body []byte) []byte {
	t.Helper()
	*seen = nil
	resp, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		if len(*seen) != 1 {
			t.Fatalf("%s %q reached the controller %d times", url, body, len(*seen))
		}
		again, err := json.Marshal((*seen)[0])
		if err != nil {
			t.Fatalf("%+v can't be sent: %v", (*seen)[0], err)
		}
		return again
	}
	if resp.StatusCode/100 == 3 { // a path that the server has another name for
		return nil
	}
	var said api.Error
	if err := json.Unmarshal(text, &said); err != nil || said.Message == "" || strings.ContainsAny(said.Message, "\n\r") {
		t.Fatalf("%s %q: %d %q (%v)", url, body, resp.StatusCode, text, err)
	}
	mistake := said.Code == api.Usage && resp.StatusCode == http.StatusBadRequest || said.Code == api.NotFound && resp.StatusCode == http.StatusNotFound
	if !mistake || len(*seen) != 0 {
		t.Fatalf("%s %q: %d %+v, and the controller saw %v", url, body, resp.StatusCode, said, *seen)
	}
	return nil
}

// recording is a controller to which all is well.
func recording(seen *[]any) *apitest.Fake {
	note := func(req any) { *seen = append(*seen, req) }
	return &apitest.Fake{
		OnStatus: func(context.Context) (api.Status, error) { note(struct{}{}); return api.Status{}, nil },
		OnFlip: func(_ context.Context, r api.FlipRequest) (api.FlipResult, error) {
			note(r)
			return api.FlipResult{}, nil
		},
		OnRollback: func(_ context.Context, r api.RollbackRequest) (api.FlipResult, error) {
			note(r)
			return api.FlipResult{}, nil
		},
		OnDrain: func(_ context.Context, r api.DrainRequest, _ func(api.DrainProgress) error) error {
			note(r)
			return nil
		},
		OnFlows: func(_ context.Context, r api.FlowFilter, yield func(api.Flow) error) error {
			note(r)
			return yield(api.Flow{})
		},
		OnExplain: func(_ context.Context, r api.ExplainRequest, yield func(api.Explanation) error) error {
			note(r)
			return yield(api.Explanation{})
		},
		OnTrace: func(_ context.Context, r api.TraceRequest, yield func(api.Traced) error) error {
			note(r)
			return yield(api.Traced{})
		},
		OnReplay: func(_ context.Context, r api.ReplayRequest) (api.Replay, error) { note(r); return api.Replay{}, nil },
		OnPlan:   func(_ context.Context, r api.PlanRequest) (api.Plan, error) { note(r); return api.Plan{}, nil },
		OnLock:   func(_ context.Context, r api.LockRequest) (api.Lock, error) { note(r); return api.Lock{}, nil },
		OnUnlock: func(_ context.Context, r api.UnlockRequest) error { note(r); return nil },
		OnHistory: func(_ context.Context, r api.HistoryRequest, yield func(journal.Event) error) error {
			note(r)
			return yield(journal.Event{})
		},
		OnOccupancy: func(_ context.Context, r api.OccupancyRequest) (api.Occupancy, error) {
			note(r)
			return api.Occupancy{}, nil
		},
		OnClose: func(_ context.Context, r api.CloseRequest) (api.Closed, error) { note(r); return api.Closed{}, nil },
		OnOpen:  func(_ context.Context, r api.OpenRequest) (api.Closed, error) { note(r); return api.Closed{}, nil },
		OnReleaseGroup: func(_ context.Context, r api.GroupReleaseRequest) (api.GroupReleases, error) {
			note(r)
			return api.GroupReleases{}, nil
		},
		OnReload: func(_ context.Context, r api.ReloadRequest) (api.Plan, error) { note(r); return api.Plan{}, nil },
		OnDetach: func(_ context.Context, r api.DetachRequest) error { note(r); return nil },
	}
}

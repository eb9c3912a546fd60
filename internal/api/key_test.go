package api_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// keeper remembers the answers to keys, as the daemon's controller does.
type keeper struct {
	*apitest.Fake
	asked []api.Keyed
	kept  map[string]json.RawMessage
}

func (k *keeper) Once(ctx context.Context, asked api.Keyed, do func(context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	k.asked = append(k.asked, asked)
	if was, there := k.kept[asked.Key]; there {
		return was, nil
	}
	res, err := do(ctx)
	k.kept[asked.Key] = res
	return res, err
}

func TestAKeyIsAskedForOnce(t *testing.T) {
	flips, marked := 0, 0
	ctl := &keeper{kept: map[string]json.RawMessage{}, Fake: &apitest.Fake{
		OnFlip: func(context.Context, api.FlipRequest) (api.FlipResult, error) {
			flips++
			return api.FlipResult{Service: "world", Changed: true}, nil
		},
		OnEvict: func(_ context.Context, _ api.EvictRequest, yield func(api.EvictProgress) error) error {
			marked++
			for _, p := range []api.EvictProgress{{Marked: 1}, {Marked: 2, Done: true}} {
				if err := yield(p); err != nil {
					return err
				}
			}
			return nil
		},
		OnDetach: func(context.Context, api.DetachRequest) error { return nil },
	}}
	socket, _ := apitest.Serve(t, ctl)
	client := api.New(socket)
	req := api.FlipRequest{Service: "world", Act: api.Act{Key: "k<1>", Reason: "why"}}
	for range 2 {
		if res, err := client.Flip(t.Context(), req); err != nil || !res.Changed || res.Service != "world" {
			t.Errorf("%+v, %v", res, err)
		}
	}
	req.Service = "lobby"
	_, err := client.Flip(t.Context(), req)
	if err != nil || flips != 1 || len(ctl.asked) != 3 {
		t.Fatalf("%d flips, asked %+v, %v", flips, ctl.asked, err)
	}
	if a := ctl.asked; a[0] != a[1] || a[0].Verb != "flip" || a[0].Key != "k<1>" || a[0].Digest == a[2].Digest {
		t.Errorf("asked %+v", a)
	}
	for range 2 {
		var last api.EvictProgress
		err := client.Evict(t.Context(), api.EvictRequest{Act: api.Act{Key: "k2"}, Service: "world", Generation: 3, Batch: 1, EverySeconds: 1},
			func(p api.EvictProgress) error { last = p; return nil })
		if err != nil || last != (api.EvictProgress{Marked: 2, Done: true}) || marked != 1 {
			t.Errorf("evicted %d times, %+v, %v", marked, last, err)
		}
	}
	for range 2 {
		if err := client.Detach(t.Context(), api.DetachRequest{Act: api.Act{Key: "k3"}}); err != nil {
			t.Error(err)
		}
	}
	before := len(ctl.asked)
	if _, err := client.Flip(t.Context(), api.FlipRequest{Service: "world"}); err != nil || flips != 2 || len(ctl.asked) != before {
		t.Errorf("without a key: %d flips, %v", flips, err)
	}
}

func TestAKeyMayComeInTheHead(t *testing.T) {
	ctl := &keeper{kept: map[string]json.RawMessage{}, Fake: &apitest.Fake{
		OnFlip: func(context.Context, api.FlipRequest) (api.FlipResult, error) { return api.FlipResult{}, nil },
	}}
	socket, _ := apitest.Serve(t, ctl)
	for _, row := range []struct {
		name, body, head string
		status           int
	}{
		{"in the body", `{"service":"world","key":"a"}`, "", 200},
		{"in the head", `{"service":"world"}`, "a", 200},
		{"in both", `{"service":"world","key":"a"}`, "a", 200},
		{"in both, and not the same", `{"service":"world","key":"a"}`, "b", 400},
		{"too long", `{"service":"world"}`, strings.Repeat("k", 201), 400},
		{"of a line end", `{"service":"world","key":"a\nb"}`, "", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctl.asked = nil
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://ebbtide/v1/flip", strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			if row.head != "" {
				r.Header.Set("Idempotency-Key", row.head)
			}
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != row.status || row.status == 200 && (len(ctl.asked) != 1 || ctl.asked[0].Key != "a") || row.status != 200 && len(ctl.asked) > 0 {
				t.Errorf("%d, asked %+v", resp.StatusCode, ctl.asked)
			}
		})
	}
}

func TestAKeyIsRefusedWhereNoneAreKept(t *testing.T) {
	socket, _ := apitest.Serve(t, &apitest.Fake{})
	status, answer := mustAsk(t, socket, "POST", "/v1/flip", `{"service":"world","key":"a"}`)
	if want := `{"code":"refused","error":"key \"a\": this daemon keeps no keys"}`; status != 409 || answer != want {
		t.Errorf("%d %s", status, answer)
	}
}

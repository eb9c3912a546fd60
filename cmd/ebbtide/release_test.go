package main

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// halfAPercent is what a candidate with a small share got.
func halfAPercent() api.Canary {
	since, part := noon.Add(-time.Hour), 0.4829
	return api.Canary{
		Candidate: green4, TenThousandths: 50, Testers: 2, Since: &since, NewOnCandidate: 41, NewOnLive: 8449, Realised: &part,
	}
}

func withTesters(res api.Testers) *apitest.Fake {
	return &apitest.Fake{OnTesters: func(context.Context, api.TestersRequest) (api.Testers, error) { return res, nil }}
}

func TestTesters(t *testing.T) {
	three := api.Testers{Service: "world", Candidate: &green4, Testers: []api.Tester{
		{Prefix: "192.0.2.7/32", Operator: true}, {Prefix: "198.51.100.0/24", File: true}, {Prefix: "2001:db8::/48", Operator: true, File: true},
	}}
	check(t, "testers", []row{
		{name: "three", args: "testers world", daemon: withTesters(three)},
		{name: "as json", args: "testers world -o json", daemon: withTesters(three)},
		{name: "none and nothing staged", args: "testers world", daemon: withTesters(api.Testers{Service: "world"})},
		{name: "no service", args: "testers", code: exitUsage},
		{name: "another verb", args: "testers world drop 192.0.2.7", code: exitUsage},
		{name: "nobody to add", args: "testers world add", code: exitUsage},
		{name: "no address", args: "testers world add alice", daemon: withTesters(three), code: exitUsage},
		{name: "bits behind the length", args: "testers world add 198.51.100.7/24", daemon: withTesters(three), code: exitUsage},
		{name: "refused", args: "testers world add 2001:db8::/48", code: exitRefused,
			daemon: failing(api.Errorf(api.Refused, "the service has no ipv6 listener"))},
	})
}

func TestTestersAsksForWhatItIsTold(t *testing.T) {
	var got api.TestersRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{OnTesters: func(_ context.Context, req api.TestersRequest) (api.Testers, error) {
		got = req
		return api.Testers{}, nil
	}})
	for args, want := range map[string]api.TestersRequest{
		"testers world": {Service: "world"},
		"testers world add 192.0.2.7 198.51.100.0/24":  {Service: "world", Add: []string{"192.0.2.7", "198.51.100.0/24"}},
		"testers world remove 192.0.2.7 2001:db8::/32": {Service: "world", Remove: []string{"192.0.2.7", "2001:db8::/32"}},
	} {
		if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone || !reflect.DeepEqual(got, want) {
			t.Errorf("%s asked for %+v:\n%s", args, got, out)
		}
	}
}

func sharing(res api.Share) *apitest.Fake {
	return &apitest.Fake{OnShare: func(context.Context, api.ShareRequest) (api.Share, error) { return res, nil }}
}

func TestShare(t *testing.T) {
	shared := api.Share{Service: "world", Live: blue3, Canary: halfAPercent()}
	fresh := api.Share{Service: "world", Live: blue3, Canary: api.Canary{Candidate: green4}}
	check(t, "share", []row{
		{name: "set", args: "share world 0.5%", daemon: sharing(shared)},
		{name: "set as json", args: "share world 0.5% -o json", daemon: sharing(shared)},
		{name: "never set", args: "share world", daemon: sharing(fresh)},
		{name: "never set as json", args: "share world -o json", daemon: sharing(fresh)},
		{name: "no candidate", args: "share world 5%", daemon: failing(api.Errorf(api.Refused, "there is no candidate")), code: exitRefused},
		{name: "no percent sign", args: "share world 5", code: exitUsage},
		{name: "too much", args: "share world 100.01%", code: exitUsage},
		{name: "too fine", args: "share world 0.005%", code: exitUsage},
		{name: "no number", args: "share world NaN%", code: exitUsage},
	})
}

func TestShareAsksForWhatItIsTold(t *testing.T) {
	var got api.ShareRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{OnShare: func(_ context.Context, req api.ShareRequest) (api.Share, error) {
		got = req
		return api.Share{}, nil
	}})
	for text, want := range map[string]uint16{"0%": 0, "0.01%": 1, "5%": 500, "12.34%": 1234, "29.29%": 2929, "99.99%": 9999, "100%": 10000} {
		out, code := invoke(t, socket, nil, "share", "world", text, "--force")
		if code != exitDone || !got.Force || got.TenThousandths == nil || *got.TenThousandths != want {
			t.Errorf("%s asked for %+v:\n%s", text, got, out)
		}
	}
	if out, code := invoke(t, socket, nil, "share", "world"); code != exitDone || got.TenThousandths != nil {
		t.Errorf("without a share it asked for %+v:\n%s", got, out)
	}
}

func evicting(progress ...api.EvictProgress) *apitest.Fake {
	return &apitest.Fake{OnEvict: func(_ context.Context, req api.EvictRequest, yield func(api.EvictProgress) error) error {
		for _, p := range progress {
			p.Service, p.Generation = req.Service, blue3
			if err := yield(p); err != nil {
				return err
			}
		}
		return nil
	}}
}

func TestEvict(t *testing.T) {
	first, second := api.EvictProgress{Found: 70, Marked: 50, Evicting: 50}, api.EvictProgress{Found: 70, Marked: 70, Moved: 48, Evicting: 22}
	last := api.EvictProgress{Found: 70, Marked: 70, Moved: 67, Evicting: 3, Done: true}
	check(t, "evict", []row{
		{name: "in batches", args: "evict world --generation 3", daemon: evicting(first, second, last)},
		{name: "as json", args: "evict world --generation 3 -o json", daemon: evicting(second, last)},
		{name: "nobody", args: "evict world --generation 3", daemon: evicting(api.EvictProgress{Done: true})},
		{name: "cut off", args: "evict world --generation 3", daemon: evicting(first), code: exitFailed},
		{name: "live", args: "evict world --generation 3", daemon: failing(api.Errorf(api.Refused, "generation 3 is live")), code: exitRefused},
		{name: "no generation", args: "evict world", code: exitUsage},
		{name: "batch of nothing", args: "evict world --generation 3 --batch 0", daemon: evicting(), code: exitUsage},
		{name: "too often", args: "evict world --generation 3 --every 1ms", daemon: evicting(), code: exitUsage},
		{name: "client that is none", args: "evict world --generation 3 --client 192.0.2.7/24", daemon: evicting(), code: exitUsage},
	})
}

func TestEvictAsksForWhatItsFlagsSay(t *testing.T) {
	var got api.EvictRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{OnEvict: func(_ context.Context, req api.EvictRequest, yield func(api.EvictProgress) error) error {
		got = req
		return yield(api.EvictProgress{Done: true})
	}})
	for args, want := range map[string]api.EvictRequest{
		"evict world --generation 3": {Service: "world", Generation: 3, Batch: 50, EverySeconds: 1},
		"evict world --generation 3 --client 192.0.2.7 --batch 7 --every 2m --force": {
			Service: "world", Generation: 3, Client: "192.0.2.7", Batch: 7, EverySeconds: 120, Force: true},
	} {
		if out, code := invoke(t, socket, nil, strings.Fields(args)...); code != exitDone || got != want {
			t.Errorf("%s asked for %+v:\n%s", args, got, out)
		}
	}
}

func TestAnInterruptedEvictionSaysWhatItHasMarkedAndStopsTheDaemon(t *testing.T) {
	stopped := make(chan error, 1)
	socket, _ := apitest.Serve(t, &apitest.Fake{OnEvict: func(ctx context.Context, req api.EvictRequest, yield func(api.EvictProgress) error) error {
		err := yield(api.EvictProgress{Service: req.Service, Generation: blue3, Found: 70, Marked: 50})
		<-ctx.Done()
		stopped <- ctx.Err()
		return err
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var stderr strings.Builder
	stdout := writerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	})
	e := env{stdout: stdout, stderr: &stderr, getenv: only(socketEnv, socket), now: time.Now}
	if code := run(ctx, e, []string{"evict", "world", "--generation", "3"}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if want := "ebbtide: evict world: interrupted after 50 of 70: those move with their next packet\n"; stderr.String() != want {
		t.Errorf("got %q, want %q", stderr.String(), want)
	}
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

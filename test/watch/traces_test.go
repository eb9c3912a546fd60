package watch

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

const collectorAddr = "127.0.0.1:4318"

// receiver is a collector that keeps the spans that come.
type receiver struct {
	mu    sync.Mutex
	spans []*tracepb.Span
	fault string // what was no OTLP
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var got tracepb.TracesData // on the wire the same as a request
	if err == nil {
		err = proto.Unmarshal(body, &got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || req.Method != http.MethodPost || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		r.fault = fmt.Sprintf("%s %s %v: %v", req.Method, req.URL, req.Header, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, of := range got.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
}

func (r *receiver) named(name string) *tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// A release is one trace, also when the daemon is killed in the middle of it: states below the release, hooks and gates below
// states.
func TestAReleaseIsATrace(t *testing.T) {
	t.Parallel()
	hooks := `{verify: [{exec: [/bin/true, hunter2-as-an-argument]}]}`
	s := mustStage(t, "{bake: 6s, gates: [{name: usable, health: 50%, window: 5s}], hooks: "+hooks+"}",
		"traces: {otlp: \"http://"+collectorAddr+"/v1/traces\"}")
	r := &receiver{}
	ln, err := s.lab.LB.Listen("tcp", netip.MustParseAddrPort(collectorAddr))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r}
	go server.Serve(ln) // until it is closed
	t.Cleanup(func() { server.Close() })

	if _, err := s.host.Client.Release(t.Context(), api.ReleaseRequest{Service: service, Do: api.ReleaseStart}); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, "the span of the flip", func() bool { return r.named("flipping") != nil })
	if err := s.host.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.host.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, "the span of the release", func() bool { return r.named("release of "+service) != nil })

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != "" {
		t.Error(r.fault)
	}
	root := r.spans[len(r.spans)-1]
	if len(root.ParentSpanId) != 0 || root.Status != nil {
		t.Errorf("the release is no whole trace: %v", root)
	}
	byID := map[string]*tracepb.Span{}
	for _, span := range r.spans {
		byID[string(span.SpanId)] = span
	}
	var names []string
	for _, span := range r.spans {
		names = append(names, span.Name)
		parent := byID[string(span.ParentSpanId)]
		isStep := strings.HasPrefix(span.Name, "hook ") || strings.HasPrefix(span.Name, "gate ")
		switch {
		case string(span.TraceId) != string(root.TraceId) || span.EndTimeUnixNano < span.StartTimeUnixNano:
			t.Errorf("another trace, or time runs backwards: %v", span)
		case span == root:
		case parent == nil || (parent != root) != isStep:
			t.Errorf("%s lies below %v", span.Name, parent)
		}
		if strings.Contains(span.String(), "hunter2") {
			t.Errorf("an argument is in a span: %v", span)
		}
	}
	for _, want := range []string{"staged", "verifying", "hook verify", "flipping", "gate usable: pass", "baking", "draining"} {
		if !strings.Contains("\n"+strings.Join(names, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("no span %q among %q", want, names)
		}
	}
}

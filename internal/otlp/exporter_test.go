package otlp

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123, time.UTC)

func sample(name string) Span {
	t := TraceOf("world", "7")
	return Span{
		Trace: t, ID: t.Span(name), Parent: t.Span("release"), Name: name, Start: noon, End: noon.Add(time.Second), Failed: "because",
		Attributes: []Attribute{{"s", "text"}, {"i", int64(-7)}, {"f", 0.25}, {"b", true}},
	}
}

// OpenTelemetry's own types read what is sent. A request is on the wire what TracesData is.
func TestARequestIsWhatOpenTelemetryReads(t *testing.T) {
	var got tracepb.TracesData
	if err := (proto.UnmarshalOptions{}).Unmarshal(request([]Attribute{{"service.name", "ebbtide"}}, []Span{sample("baking"), {Name: "bare"}}), &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got.ProtoReflect().GetUnknown()); n > 0 {
		t.Errorf("%d bytes are unknown", n)
	}
	of := got.ResourceSpans[0]
	if a := of.Resource.Attributes[0]; a.Key != "service.name" || a.Value.GetStringValue() != "ebbtide" {
		t.Errorf("resource %v", of.Resource)
	}
	spans := of.ScopeSpans[0].Spans
	want := sample("baking")
	s := spans[0]
	if !bytes.Equal(s.TraceId, want.Trace[:]) || !bytes.Equal(s.SpanId, want.ID[:]) || !bytes.Equal(s.ParentSpanId, want.Parent[:]) || s.Name != "baking" ||
		s.StartTimeUnixNano != uint64(noon.UnixNano()) || s.EndTimeUnixNano != uint64(noon.Add(time.Second).UnixNano()) ||
		s.Kind != tracepb.Span_SPAN_KIND_INTERNAL || s.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || s.Status.GetMessage() != "because" {
		t.Errorf("span %v", s)
	}
	values := map[string]any{}
	for _, a := range s.Attributes {
		values[a.Key] = a.Value.GetValue()
	}
	if s.Attributes[0].Value.GetStringValue() != "text" || s.Attributes[1].Value.GetIntValue() != -7 || s.Attributes[2].Value.GetDoubleValue() != 0.25 || !s.Attributes[3].Value.GetBoolValue() {
		t.Errorf("attributes %v", values)
	}
	if spans[1].Name != "bare" || len(spans[1].ParentSpanId) != 0 || spans[1].Status != nil {
		t.Errorf("a span that did not fail and has no parent: %v", spans[1])
	}
}

// collector answers in turn with these statuses, then with 200, and keeps the names of spans that it took.
type collector struct {
	mu      sync.Mutex
	answers []int
	asked   int
	names   []string
	took    chan struct{}
	refused chan struct{}
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var got tracepb.TracesData
	if err != nil || proto.Unmarshal(body, &got) != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if len(c.answers) >= c.asked && c.answers[c.asked-1] != http.StatusOK {
		w.WriteHeader(c.answers[c.asked-1])
		c.refused <- struct{}{}
		return
	}
	for _, s := range got.ResourceSpans[0].ScopeSpans[0].Spans {
		c.names = append(c.names, s.Name)
		c.took <- struct{}{}
	}
}

func TestSpansAreSentAgainWhereThatMayHelp(t *testing.T) {
	for name, c := range map[string]*collector{
		"at once":         {},
		"after a while":   {answers: []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}},
		"but not for bad": {answers: []int{http.StatusBadRequest}},
	} {
		t.Run(name, func(t *testing.T) {
			c.took, c.refused = make(chan struct{}, 8), make(chan struct{}, 8)
			server := httptest.NewServer(c)
			defer server.Close()
			e := New(slog.New(slog.DiscardHandler), nil)
			e.pause = time.Millisecond
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() { e.Run(ctx); close(over) }()
			e.Send(server.URL+"/v1/traces", sample("first"))
			if c.answers == nil || c.answers[0] != http.StatusBadRequest {
				<-c.took
			} else {
				<-c.refused
				e.Send(server.URL, sample("second"))
				<-c.took
			}
			cancel()
			<-over
			c.mu.Lock()
			defer c.mu.Unlock()
			if want := len(c.answers) + 1; c.asked != want || len(c.names) != 1 {
				t.Errorf("the collector was asked %d times, want %d, and took %q", c.asked, want, c.names)
			}
		})
	}
}

// Who sends a span never waits, and a daemon that ends sends what is left.
func TestWhatWaitsIsBoundedAndSentAtTheEnd(t *testing.T) {
	c := &collector{took: make(chan struct{}, 2*waiting)}
	server := httptest.NewServer(c)
	defer server.Close()
	e := New(slog.New(slog.DiscardHandler), nil)
	e.farewell = time.Minute // all requests together, on a busy machine
	for range waiting + 3 {
		e.Send(server.URL, sample("one"))
	}
	if got := e.lost.Load(); got != 3 {
		t.Errorf("%d are lost, want 3", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.Run(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.names) != waiting {
		t.Errorf("the collector has %d, want %d", len(c.names), waiting)
	}
	(*Exporter)(nil).Send(server.URL, sample("none")) // no exporter, nothing to do
}

func TestTheNamesOfSpansFollowFromWhatTheyAreOf(t *testing.T) {
	if id := TraceOf("world", "7"); id != TraceOf("world", "7") || id == TraceOf("world7") || TraceOf("a").Span("b") == TraceOf("b").Span("b") {
		t.Error("names are mixed up")
	}
}

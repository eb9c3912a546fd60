package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	waiting  = 1024 // spans that may wait
	most     = 256  // spans of a request
	attempts = 5
	patience = 10 * time.Second // of a request
)

// Exporter sends spans. Whoever has one never waits for it: what can't be sent, or would have to wait behind too much, is
// lost, and the log says so.
type Exporter struct {
	log      *slog.Logger
	resource []Attribute
	client   *http.Client
	queue    chan addressed
	lost     atomic.Uint64
	pause    time.Duration // after the first attempt; twice as long after each
	farewell time.Duration // what requests have once the context has ended
}

// addressed is a span with where it goes: the configuration may change meanwhile.
type addressed struct {
	url string
	Span
}

// New makes an exporter that tells this of the process. Run sends.
func New(log *slog.Logger, resource []Attribute) *Exporter {
	return &Exporter{
		log: log, resource: resource, queue: make(chan addressed, waiting), pause: time.Second, farewell: 2 * time.Second,
		client: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true}, // spans are rare; no proxy of the environment is asked
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Send has a span sent to a collector. On a nil exporter it does nothing.
func (e *Exporter) Send(url string, s Span) {
	if e == nil || url == "" {
		return
	}
	select {
	case e.queue <- addressed{url, s}:
	default:
		e.lose(1, errors.New("too many wait"))
	}
}

// lose tells of what is lost.
func (e *Exporter) lose(spans int, err error) {
	total := e.lost.Add(uint64(spans))
	e.log.Warn("spans are lost", "spans", spans, "lost_since_start", total, "err", err)
}

// Run sends until the context ends, and then once more what is left.
func (e *Exporter) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.farewell)
			defer cancel()
			for len(e.queue) > 0 && last.Err() == nil {
				e.send(last, 1, <-e.queue)
			}
			return
		case first := <-e.queue:
			e.send(ctx, attempts, first)
		}
	}
}

// send sends a span and those that wait behind it and go to the same place.
func (e *Exporter) send(ctx context.Context, tries int, first addressed) {
	spans := []Span{first.Span}
	var other *addressed
	for len(spans) < most && other == nil && len(e.queue) > 0 {
		if next := <-e.queue; next.url == first.url {
			spans = append(spans, next.Span)
		} else {
			other = &next
		}
	}
	if err := e.post(ctx, tries, first.url, request(e.resource, spans)); err != nil {
		e.lose(len(spans), err)
	}
	if other != nil {
		e.send(ctx, tries, *other)
	}
}

// post tries again where the collector may answer differently the next time.
func (e *Exporter) post(ctx context.Context, tries int, url string, body []byte) error {
	pause := e.pause
	for n := 1; ; n++ {
		again, err := e.attempt(ctx, url, body)
		if err == nil || !again || n >= tries || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			_, err := e.attempt(ctx, url, body)
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// attempt is not cut short by the end of the context, for the collector may have taken the spans: it has some time left.
func (e *Exporter) attempt(ctx context.Context, url string, body []byte) (again bool, err error) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(e.farewell, cancel) })
	defer stop()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := e.client.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the peer may end
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, fmt.Errorf("the collector says %s", resp.Status)
	}
	return false, fmt.Errorf("the collector says %s", resp.Status)
}

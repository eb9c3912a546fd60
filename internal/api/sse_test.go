package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
	"github.com/ebbtide/ebbtide/internal/journal"
)

// happens is a daemon in which these things happen.
func happens(err error, events ...api.Event) *apitest.Fake {
	return &apitest.Fake{OnEvents: func(_ context.Context, _ api.EventsRequest, yield func(api.Event) error) error {
		for _, e := range events {
			if err := yield(e); err != nil {
				return err
			}
		}
		return err
	}}
}

func TestEventsReachTheClientAsTheyWere(t *testing.T) {
	flip := journal.Event{Seq: 7, Act: "flip", Stage: journal.Note, Service: "world", Reason: "a\nb\r\ndata: {}\n\n"}
	left := api.DrainProgress{Service: "world", State: api.StateDraining}
	stopping := api.Errorf(api.Unavailable, "the daemon is stopping")
	socket, _ := apitest.Serve(t, happens(stopping, api.Event{}, api.Event{Journal: &flip}, api.Event{Drain: &left}))
	var got []api.Event
	err := api.New(socket).Events(t.Context(), api.EventsRequest{}, func(e api.Event) error {
		got = append(got, e)
		return nil
	})
	if want := []api.Event{{Journal: &flip}, {Drain: &left}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var e *api.Error
	if !errors.As(err, &e) || *e != *stopping {
		t.Errorf("it ended with %v, want %v", err, stopping)
	}
	_, raw := mustAsk(t, socket, "GET", "/v1/events", "")
	for _, want := range []string{
		"id: 7\nevent: journal\ndata: {\"seq\":7,", "\n\nevent: drain\ndata: {\"service\":\"world\"",
		"\n\nevent: error\ndata: {\"code\":\"unavailable\"",
	} {
		if !strings.Contains(raw, want) {
			t.Errorf("no %q in %q", want, raw)
		}
	}
}

func TestEventsOfNothingAreRefusedWithAStatus(t *testing.T) {
	socket, _ := apitest.Serve(t, happens(api.Errorf(api.NotFound, "service moon: there is none of this name")))
	if status, answer := mustAsk(t, socket, "GET", "/v1/events?service=moon", ""); status != http.StatusNotFound {
		t.Errorf("got %d %s", status, answer)
	}
}

func TestAQueryOfEventsIsReadStrictly(t *testing.T) {
	var asked api.EventsRequest
	socket, _ := apitest.Serve(t, &apitest.Fake{OnEvents: func(_ context.Context, req api.EventsRequest, _ func(api.Event) error) error {
		asked = req
		return nil
	}})
	n := func(n uint64) *uint64 { return &n }
	for _, row := range []struct {
		name, query, last string
		want              api.EventsRequest
		refused           bool
	}{
		{name: "nothing"},
		{name: "all", query: "?service=world&after=0&once=true", want: api.EventsRequest{Service: "world", After: n(0), Once: true}},
		{name: "what was seen last goes before the address", query: "?after=3", last: "9", want: api.EventsRequest{After: n(9)}},
		{name: "an unknown name", query: "?sevice=world", refused: true},
		{name: "twice", query: "?after=3&after=4", refused: true},
		{name: "no number", query: "?after=-1", refused: true},
		{name: "no number seen last", last: "x", refused: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked = api.EventsRequest{}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://ebbtide/v1/events"+row.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			if row.last != "" {
				r.Header.Set("Last-Event-ID", row.last)
			}
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if refused := resp.StatusCode == http.StatusBadRequest; refused != row.refused || !reflect.DeepEqual(asked, row.want) {
				t.Errorf("got %d and asked for %+v, want %+v, refused %v", resp.StatusCode, asked, row.want, row.refused)
			}
		})
	}
}

// pipes is a listener of connections that hold nothing back, on a clock that a test turns.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func TestASlowReaderIsDroppedAndAQuietStreamIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2)
		ctl := &apitest.Fake{OnEvents: func(ctx context.Context, req api.EventsRequest, yield func(api.Event) error) error {
			err := yield(api.Event{})
			for err == nil && req.Service == "busy" {
				err = yield(api.Event{Journal: &journal.Event{Seq: 1}})
			}
			if err == nil {
				<-ctx.Done()
				err = ctx.Err()
			}
			ended <- err
			return err
		}}
		ctx, stop := context.WithCancel(t.Context())
		ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- api.Serve(ctx, ln, ctl, slog.New(slog.DiscardHandler)) }()
		open := func(service string) (net.Conn, *bufio.Reader) {
			conn, server := net.Pipe()
			ln.conns <- server
			if _, err := io.WriteString(conn, "GET /v1/events?service="+service+" HTTP/1.1\r\nHost: ebbtide\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
				t.Fatalf("%q, %v", line, err)
			}
			return conn, in
		}

		slow, _ := open("busy")
		defer slow.Close()
		begin := time.Now()
		<-ended
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("a reader who took nothing was waited for %s", took)
		}

		quiet, in := open("idle")
		defer quiet.Close()
		comments := 0
		for time.Since(begin) < time.Hour {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == ":\n" {
				comments++
			}
		}
		if comments < 10 {
			t.Errorf("%d comments in an hour", comments)
		}
		go func() { _, _ = io.Copy(io.Discard, in) }()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

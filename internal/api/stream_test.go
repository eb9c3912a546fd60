package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/api/apitest"
)

// mustCode fails unless err is an api.Error of that code.
func mustCode(tb testing.TB, err error, code api.Code) {
	tb.Helper()
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code {
		tb.Fatalf("got %v, want an error with the code %s", err, code)
	}
}

func ignore(api.DrainProgress) error { return nil }

func TestAStreamBringsEveryItemInOrder(t *testing.T) {
	const many = 10_000
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnFlows: func(_ context.Context, filter api.FlowFilter, yield func(api.Flow) error) error {
			for i := range many {
				if err := yield(api.Flow{Service: filter.Service, Client: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		},
	})
	n := 0
	err := api.New(socket).Flows(t.Context(), api.FlowFilter{Service: "world"}, func(f api.Flow) error {
		if f.Service != "world" || f.Client != fmt.Sprint(n) {
			return fmt.Errorf("flow %d is %+v", n, f)
		}
		n++
		return nil
	})
	if err != nil || n != many {
		t.Errorf("got %d flows, %v", n, err)
	}
}

func TestAnEmptyStreamIsNoError(t *testing.T) {
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnFlows: func(context.Context, api.FlowFilter, func(api.Flow) error) error { return nil },
	})
	if err := api.New(socket).Flows(t.Context(), api.FlowFilter{}, nil); err != nil {
		t.Error(err)
	}
}

func TestAStreamsErrorArrivesBeforeAndAfterItsFirstItem(t *testing.T) {
	for items := range 3 {
		socket, _ := apitest.Serve(t, &apitest.Fake{
			OnDrain: func(_ context.Context, _ api.DrainRequest, yield func(api.DrainProgress) error) error {
				for range items {
					if err := yield(api.DrainProgress{}); err != nil {
						return err
					}
				}
				return api.Errorf(api.NotFound, "no generation 9")
			},
		})
		got := 0
		err := api.New(socket).WatchDrain(t.Context(), api.DrainRequest{Service: "world"}, func(api.DrainProgress) error {
			got++
			return nil
		})
		mustCode(t, err, api.NotFound)
		if got != items {
			t.Errorf("got %d items, want %d", got, items)
		}
	}
}

func TestAStreamEndsWithTheDaemon(t *testing.T) {
	begun := make(chan struct{})
	socket, stop := apitest.Serve(t, &apitest.Fake{
		OnDrain: func(ctx context.Context, _ api.DrainRequest, yield func(api.DrainProgress) error) error {
			if err := yield(api.DrainProgress{}); err != nil {
				return err
			}
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		},
	})
	go func() {
		<-begun
		stop()
	}()
	mustCode(t, api.New(socket).WatchDrain(t.Context(), api.DrainRequest{Service: "world"}, ignore), api.Unavailable)
}

func TestNoCallOutlivesTheServer(t *testing.T) {
	var running atomic.Int32
	begun := make(chan struct{})
	socket, stop := apitest.Serve(t, &apitest.Fake{
		OnFlows: func(_ context.Context, _ api.FlowFilter, yield func(api.Flow) error) error {
			running.Add(1)
			defer running.Add(-1)
			close(begun)
			var err error
			for err == nil { // one that doesn't look at its context
				err = yield(api.Flow{})
			}
			return err
		},
	})
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A client that reads nothing.
	if _, err := io.WriteString(conn, "POST /v1/flows HTTP/1.1\r\nHost: ebbtide\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	stop()
	if n := running.Load(); n != 0 {
		t.Errorf("%d calls still run", n)
	}
}

func TestAStreamThatBreaksOffIsAnError(t *testing.T) {
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnDrain: func(_ context.Context, _ api.DrainRequest, yield func(api.DrainProgress) error) error {
			if err := yield(api.DrainProgress{}); err != nil {
				return err
			}
			panic("what a killed daemon looks like to its client")
		},
	})
	mustCode(t, api.New(socket).WatchDrain(t.Context(), api.DrainRequest{Service: "world"}, ignore), api.Unavailable)
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	ended := make(chan struct{})
	socket, _ := apitest.Serve(t, &apitest.Fake{
		OnDrain: func(ctx context.Context, _ api.DrainRequest, yield func(api.DrainProgress) error) error {
			defer close(ended)
			if err := yield(api.DrainProgress{}); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
	})
	enough := errors.New("enough")
	err := api.New(socket).WatchDrain(t.Context(), api.DrainRequest{Service: "world"}, func(api.DrainProgress) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("got %v, want what the callback gave", err)
	}
	<-ended
}

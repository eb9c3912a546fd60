package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"
)

// slowTimeout is how long a reader of events may take nothing before he is dropped. He comes back with the last number
// that he has seen, and is sent the rest from the journal.
const slowTimeout = 5 * time.Second

// keepAlive is how often a comment goes to those to whom nothing happens, so that proxies keep the connection.
const keepAlive = 15 * time.Second

// comment is what readers of events skip.
const comment = ":\n\n"

// events is the handler of server-sent events.
func events(do func(context.Context, EventsRequest, func(Event) error) error) endpoint {
	handle := func(w http.ResponseWriter, r *http.Request) error {
		req, err := eventsRequest(r)
		if err == nil {
			err = mayAsk(r.Context(), req, false)
		}
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", eventStream)
		w.Header().Set("Cache-Control", "no-store")
		out := &eventWriter{ctx: r.Context(), w: w, http: http.NewResponseController(w)}
		defer context.AfterFunc(r.Context(), out.hurry)()
		err = out.follow(req, do)
		switch {
		case out.gone:
			panic(http.ErrAbortHandler) // so that he does not take it for the end
		case err != nil && out.begun:
			_ = out.item("event: error\n", asError(err))
			return nil
		}
		return err
	}
	return endpoint{handle, nil, reflect.TypeFor[Event](), eventStream}
}

// eventWriter writes events. A reader who takes nothing for a time ends it.
type eventWriter struct {
	ctx   context.Context
	w     io.Writer
	http  *http.ResponseController
	begun bool // the head has left
	gone  bool // nobody takes anything any more
}

// follow writes what do yields, and comments between.
func (o *eventWriter) follow(req EventsRequest, do func(context.Context, EventsRequest, func(Event) error) error) error {
	ctx, stop := context.WithCancel(o.ctx)
	found, ended := make(chan Event), make(chan error, 1)
	defer func() { <-ended }()
	defer stop()
	go func() {
		defer close(ended)
		ended <- do(ctx, req, func(e Event) error {
			select {
			case found <- e:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		var err error
		select {
		case e := <-found:
			err = o.send(e)
		case <-quiet.C:
			err = o.write([]byte(comment))
		case err := <-ended:
			return err
		}
		if err != nil {
			return err
		}
	}
}

// hurry is for the end of the context, as that of lines.
func (o *eventWriter) hurry() { _ = o.http.SetWriteDeadline(time.Now().Add(lastTimeout)) }

// send writes one event. Those of the journal have its number, by which a reader goes on later.
func (o *eventWriter) send(e Event) error {
	switch {
	case e.Journal != nil:
		return o.item(fmt.Sprintf("id: %d\nevent: journal\n", e.Journal.Seq), e.Journal)
	case e.Drain != nil:
		return o.item("event: drain\n", e.Drain)
	}
	return o.write([]byte(comment))
}

func (o *eventWriter) item(head string, v any) error {
	data, err := json.Marshal(v) // of one line
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return o.write(fmt.Appendf(nil, "%sdata: %s\n\n", head, data))
}

func (o *eventWriter) write(text []byte) error {
	o.begun = true
	wait := slowTimeout
	if o.ctx.Err() != nil {
		wait = lastTimeout
	}
	err := o.http.SetWriteDeadline(time.Now().Add(wait))
	if err == nil {
		_, err = o.w.Write(text)
	}
	if err == nil {
		err = o.http.Flush()
	}
	o.gone = err != nil
	return err
}

// readEvents yields what a stream of server-sent events has, and ends with the error that it ends with.
func readEvents(ctx context.Context, r io.Reader, yield func(Event) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	kind := ""
	for in.Scan() {
		if text, ok := bytes.CutPrefix(in.Bytes(), []byte("event: ")); ok {
			kind = string(text)
		}
		text, ok := bytes.CutPrefix(in.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var e Event
		var failed *Error
		into := map[string]any{"journal": &e.Journal, "drain": &e.Drain, "error": &failed}[kind]
		if into == nil {
			continue // of a newer daemon
		}
		if err := json.Unmarshal(text, into); err != nil {
			return fmt.Errorf("read the daemon's events: %w", err)
		}
		if failed != nil {
			return failed
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return gone(ctx, err)
	}
	return nil
}

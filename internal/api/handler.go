package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"
)

// endpoint is a verb: what handles it, and what goes in and out, from which the API's description is written.
type endpoint struct {
	handler
	request, answer reflect.Type
	media           string // of the answer
}

// The media types of answers.
const (
	oneDocument   = "application/json"
	documentLines = "application/x-ndjson" // a document a line
	eventStream   = "text/event-stream"
)

// handler ends with an error that has not been sent yet, or nil.
type handler func(http.ResponseWriter, *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		WriteError(r.Context(), w, err)
	}
}

// WriteError answers a request that came to nothing.
func WriteError(ctx context.Context, w http.ResponseWriter, err error) {
	e := asError(err)
	_ = writeJSON(ctx, w, e.Code.status(), e)
}

// request is what the server accepts: it can say whether it makes sense.
type request interface{ validate() error }

// nothing is the request, or the answer, of a verb that has none.
type nothing struct{}

func (nothing) validate() error { return nil }

// answer is the handler of a verb with one answer.
func answer[Req request, Res any](do func(context.Context, Req) (Res, error)) endpoint {
	_, narrows := any(*new(Res)).(narrower)
	handle := func(w http.ResponseWriter, r *http.Request) error {
		req, err := decode[Req](w, r, narrows)
		if err != nil {
			return err
		}
		res, err := once(r, req, func(ctx context.Context) (any, error) { return do(ctx, req) })
		if err != nil {
			return err
		}
		return writeJSON(r.Context(), w, http.StatusOK, narrowed(r.Context(), res))
	}
	return endpoint{handle, reflect.TypeFor[Req](), reflect.TypeFor[Res](), oneDocument}
}

// plain is for verbs that need no request.
func plain[Res any](do func(context.Context) (Res, error)) func(context.Context, nothing) (Res, error) {
	return func(ctx context.Context, _ nothing) (Res, error) { return do(ctx) }
}

// lasting is for what must not stop half-way because a client went away.
func lasting[Req, Res any](do func(context.Context, Req) (Res, error)) func(context.Context, Req) (Res, error) {
	return func(ctx context.Context, req Req) (Res, error) { return do(context.WithoutCancel(ctx), req) }
}

// decode reads and checks a request. One without a body is the zero Req. An answer that narrows has something for everybody.
func decode[Req request](w http.ResponseWriter, r *http.Request, narrows bool) (Req, error) {
	var req Req
	ctl := http.NewResponseController(w)
	if err := ctl.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return req, fmt.Errorf("read the request: %w", err)
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil && !errors.Is(err, io.EOF) {
		return req, Errorf(Usage, "read the request: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return req, Errorf(Usage, "read the request: something follows its end")
	}
	// From here on a read only waits for the client to go away.
	if err := ctl.SetReadDeadline(time.Time{}); err != nil {
		return req, fmt.Errorf("read the request: %w", err)
	}
	if a, ok := any(&req).(acting); ok {
		if err := a.act().keyFrom(r.Header); err != nil {
			return req, err
		}
	}
	if err := req.validate(); err != nil {
		return req, err
	}
	return req, mayAsk(r.Context(), req, narrows)
}

// writeJSON gives an error only while nothing is sent. A client that goes away
// meanwhile is none: nobody would read it.
func writeJSON(ctx context.Context, w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	w.Header().Set("Content-Type", oneDocument)
	w.WriteHeader(status)
	_, _ = patient{ctx, w}.Write(append(data, '\n'))
	return nil
}

// patient gives a client time for each write, not for all of them, and little
// once the context has ended.
type patient struct {
	ctx context.Context
	http.ResponseWriter
}

func (p patient) Write(data []byte) (int, error) {
	conn := http.NewResponseController(p.ResponseWriter)
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	if p.ctx.Err() != nil {
		if err := conn.SetWriteDeadline(time.Now().Add(lastTimeout)); err != nil {
			return 0, err
		}
	}
	return p.ResponseWriter.Write(data)
}

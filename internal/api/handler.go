package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// handler ends with an error that has not been sent yet, or nil.
type handler func(http.ResponseWriter, *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		e := asError(err)
		_ = writeJSON(r.Context(), w, e.Code.status(), e)
	}
}

// request is what the server accepts: it can say whether it makes sense.
type request interface{ validate() error }

// nothing is the request, or the answer, of a verb that has none.
type nothing struct{}

func (nothing) validate() error { return nil }

// answer is the handler of a verb with one answer.
func answer[Req request, Res any](do func(context.Context, Req) (Res, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		req, err := decode[Req](w, r)
		if err != nil {
			return err
		}
		res, err := do(r.Context(), req)
		if err != nil {
			return err
		}
		return writeJSON(r.Context(), w, http.StatusOK, res)
	}
}

// plain is for verbs that need no request.
func plain[Res any](do func(context.Context) (Res, error)) func(context.Context, nothing) (Res, error) {
	return func(ctx context.Context, _ nothing) (Res, error) { return do(ctx) }
}

// lasting is for what must not stop half-way because a client went away.
func lasting[Req, Res any](do func(context.Context, Req) (Res, error)) func(context.Context, Req) (Res, error) {
	return func(ctx context.Context, req Req) (Res, error) { return do(context.WithoutCancel(ctx), req) }
}

// decode reads and checks a request. One without a body is the zero Req.
func decode[Req request](w http.ResponseWriter, r *http.Request) (Req, error) {
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
	return req, req.validate()
}

// writeJSON gives an error only while nothing is sent. A client that goes away
// meanwhile is none: nobody would read it.
func writeJSON(ctx context.Context, w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
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

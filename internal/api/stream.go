package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"
)

// flushing says when the lines of a stream leave.
type flushing bool

const (
	eachLine    flushing = true  // a client waits for every one
	fullBuffers flushing = false // there may be millions
)

// stream is the handler of a verb that yields many items.
func stream[Req request, Item any](do func(context.Context, Req, func(Item) error) error, flush flushing) endpoint {
	handle := func(w http.ResponseWriter, r *http.Request) error {
		req, err := decode[Req](w, r, false)
		if err != nil {
			return err
		}
		out := newLines(r.Context(), w, flush)
		defer context.AfterFunc(r.Context(), out.hurry)()
		sent := false
		last, err := once(r, req, func(ctx context.Context) (last any, err error) {
			err = do(ctx, req, func(item Item) error {
				last, sent = item, true
				return out.send(item)
			})
			return last, err
		})
		if err == nil && last != nil && !sent { // the end of what was done before
			err = out.send(last)
		}
		if err != nil && context.Cause(r.Context()) != nil {
			err = context.Cause(r.Context())
		}
		return out.end(err)
	}
	return endpoint{handle, reflect.TypeFor[Req](), reflect.TypeFor[Item](), documentLines}
}

// lines writes one JSON document a line. The header leaves with the first, so
// that an error before it still has a status of its own.
type lines struct {
	ctx   context.Context
	http  *http.ResponseController
	buf   *bufio.Writer
	enc   *json.Encoder
	flush flushing
	begun bool
}

func newLines(ctx context.Context, w http.ResponseWriter, flush flushing) *lines {
	w.Header().Set("Content-Type", documentLines)
	buf := bufio.NewWriterSize(patient{ctx, w}, 32<<10)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false) // clients may print a line as it is
	return &lines{ctx: ctx, http: http.NewResponseController(w), buf: buf, enc: enc, flush: flush}
}

// hurry is for the end of the context: a write that waits for a client which
// reads nothing must not hold it up.
func (l *lines) hurry() { _ = l.http.SetWriteDeadline(time.Now().Add(lastTimeout)) }

func (l *lines) send(item any) error {
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	l.begun = true
	if err := l.enc.Encode(item); err != nil || !l.flush {
		return err
	}
	if err := l.buf.Flush(); err != nil {
		return err
	}
	return l.http.Flush()
}

// end gives err back while it can still be the answer, or makes it the last
// line. As in writeJSON, a client that is gone is no error.
func (l *lines) end(err error) error {
	if err != nil && !l.begun {
		return err
	}
	if err != nil {
		_ = l.enc.Encode(asError(err))
	}
	_ = l.buf.Flush()
	return nil
}

package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long the server waits for a client.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // without a byte taken
	lastTimeout   = time.Second      // the same, of a stream that is over
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second // for changes under way when the daemon stops
)

// How large a request may be. A plan brings a configuration file along, in
// base64.
const (
	maxRequest = 64 << 10
	maxPlan    = 48 << 20
)

// Serve answers on ln until ctx ends, and closes ln. Streams end with ctx, a
// change that has begun is given time to finish. When Serve returns, no call
// of ctl runs any more: what it reads may be unmapped then.
func Serve(ctx context.Context, ln net.Listener, ctl Controller, log *slog.Logger) error {
	// Streams may end before Serve is told to, so that Shutdown needn't wait.
	streams, end := context.WithCancelCause(context.Background())
	defer end(nil)
	var calls gate
	defer calls.close()
	srv := &http.Server{
		Handler:           calls.guard(routes(ctl)),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return streams },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		end(Errorf(Unavailable, "the daemon is stopping"))
		stopped <- shutdown(srv)
	})
	err := srv.Serve(ln)
	end(Errorf(Unavailable, "the daemon is stopping"))
	if stop() { // it failed by itself
		err = errors.Join(err, srv.Close())
	} else {
		err = <-stopped
	}
	if err != nil {
		return fmt.Errorf("serve the API: %w", err)
	}
	return nil
}

// shutdown waits for what is under way, but not for ever.
func shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return srv.Close()
}

// gate counts who is inside: readers of the lock.
type gate struct{ inside sync.RWMutex }

func (g *gate) guard(h http.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !g.inside.TryRLock() {
			return Errorf(Unavailable, "the daemon is stopping")
		}
		defer g.inside.RUnlock()
		h.ServeHTTP(w, r)
		return nil
	}
}

// close lets nobody in any more, and waits until all are out.
func (g *gate) close() { g.inside.Lock() }

// routes has a line a verb. Reads and streams end with their client; a change
// that has begun does not.
func routes(ctl Controller) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, limit int64, h handler) {
		mux.Handle(pattern, http.MaxBytesHandler(h, limit))
	}
	handle("GET /v1/status", maxRequest, answer(plain(ctl.Status)))
	handle("POST /v1/flip", maxRequest, answer(lasting(ctl.Flip)))
	handle("POST /v1/rollback", maxRequest, answer(lasting(ctl.Rollback)))
	handle("POST /v1/drain", maxRequest, stream(ctl.WatchDrain, eachLine))
	handle("POST /v1/flows", maxRequest, stream(ctl.Flows, fullBuffers))
	handle("POST /v1/plan", maxPlan, answer(ctl.Plan))
	handle("POST /v1/reload", maxRequest, answer(lasting(plain(ctl.Reload))))
	handle("POST /v1/detach", maxRequest, answer(lasting(plain(func(ctx context.Context) (nothing, error) {
		return nothing{}, ctl.Detach(ctx)
	}))))
	handle("/", maxRequest, func(_ http.ResponseWriter, r *http.Request) error {
		return Errorf(NotFound, "this daemon knows no %s %s", r.Method, r.URL.Path)
	})
	return mux
}

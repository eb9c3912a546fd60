package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
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
// base64, a replay its frames, and testers may be as many as there are.
const (
	maxRequest = 64 << 10
	maxTesters = 8 << 20
	maxPlan    = 48 << 20
	maxReplay  = 24 << 20
)

// Serve answers on ln until ctx ends, and closes ln. Streams end with ctx, a
// change that has begun is given time to finish. When Serve returns, no call
// of ctl runs any more: what it reads may be unmapped then.
func Serve(ctx context.Context, ln net.Listener, ctl Controller, log *slog.Logger) error {
	return serve(ctx, ln, routes(ctl), &http.Server{ConnContext: withPeer}, log)
}

// ServeRemote is Serve for a listener that the network reaches. Enter says who sends a request, for [WithCaller], and hands
// it on; one that it hands on without a caller is refused.
func ServeRemote(ctx context.Context, ln net.Listener, ctl Controller, enter func(http.Handler) http.Handler, log *slog.Logger) error {
	verbs := routes(ctl)
	known := handler(func(w http.ResponseWriter, r *http.Request) error {
		if _, ok := CallerOf(r.Context()); !ok {
			return Errorf(Unauthenticated, "who asks?")
		}
		verbs.ServeHTTP(w, r)
		return nil
	})
	// One protocol is less to get wrong than two, and a client has few requests.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return serve(ctx, ln, enter(known), &http.Server{Protocols: protocols}, log)
}

// serve runs srv, whose fields that all have are not set yet.
func serve(ctx context.Context, ln net.Listener, h http.Handler, srv *http.Server, log *slog.Logger) error {
	// Streams may end before Serve is told to, so that Shutdown needn't wait.
	streams, end := context.WithCancelCause(context.Background())
	defer end(nil)
	var calls gate
	defer calls.close()
	srv.Handler = calls.guard(h)
	srv.ReadHeaderTimeout = headerTimeout // of a TLS handshake, too
	srv.IdleTimeout = idleTimeout
	srv.MaxHeaderBytes = 16 << 10
	srv.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	srv.BaseContext = func(net.Listener) context.Context { return streams }
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

// routes leads each request to its verb.
func routes(ctl Controller) http.Handler {
	mux := http.NewServeMux()
	verbs(ctl, func(pattern string, limit int64, e endpoint) {
		_, path, _ := strings.Cut(pattern, " ")
		mux.Handle(pattern, withRole(path, http.MaxBytesHandler(withKeeper(ctl, e.handler), limit)))
	})
	mux.Handle("/", handler(func(_ http.ResponseWriter, r *http.Request) error {
		return Errorf(NotFound, "this daemon knows no %s %s", r.Method, r.URL.Path)
	}))
	return mux
}

// verbs has a line a verb. Reads and streams end with their client; a change
// that has begun does not. openapi.json is written from it.
func verbs(ctl Controller, handle func(pattern string, limit int64, e endpoint)) {
	handle("GET /v1/status", maxRequest, answer(plain(ctl.Status)))
	handle("POST /v1/flip", maxRequest, answer(lasting(ctl.Flip)))
	handle("POST /v1/rollback", maxRequest, answer(lasting(ctl.Rollback)))
	handle("POST /v1/flip-group", maxRequest, answer(lasting(ctl.FlipGroup)))
	handle("POST /v1/rollback-group", maxRequest, answer(lasting(ctl.RollbackGroup)))
	handle("POST /v1/schedule", maxRequest, answer(lasting(ctl.Schedule)))
	handle("POST /v1/schedules", maxRequest, answer(ctl.Schedules))
	handle("POST /v1/unschedule", maxRequest, answer(lasting(ctl.Unschedule)))
	handle("POST /v1/testers", maxTesters, answer(lasting(ctl.Testers)))
	handle("POST /v1/share", maxRequest, answer(lasting(ctl.Share)))
	handle("POST /v1/evict", maxRequest, stream(ctl.Evict, eachLine))
	handle("POST /v1/drain", maxRequest, stream(ctl.WatchDrain, eachLine))
	handle("POST /v1/flows", maxRequest, stream(ctl.Flows, fullBuffers))
	handle("POST /v1/explain", maxRequest, stream(ctl.Explain, fullBuffers))
	handle("POST /v1/trace", maxRequest, stream(ctl.Trace, eachLine))
	handle("POST /v1/replay", maxReplay, answer(ctl.Replay))
	handle("POST /v1/drops", maxRequest, answer(ctl.Drops))
	handle("POST /v1/plan", maxPlan, answer(ctl.Plan))
	handle("POST /v1/stage", maxRequest, answer(lasting(ctl.Stage)))
	handle("POST /v1/release", maxRequest, answer(lasting(ctl.Release)))
	handle("POST /v1/release-group", maxRequest, answer(lasting(ctl.ReleaseGroup)))
	handle("POST /v1/releases", maxRequest, answer(ctl.Releases))
	handle("POST /v1/release/watch", maxRequest, stream(ctl.WatchRelease, eachLine))
	handle("POST /v1/gates", maxRequest, answer(ctl.Gates))
	handle("POST /v1/release/plan", maxRequest, answer(ctl.PlanRelease))
	handle("POST /v1/rehearse", maxRequest, stream(ctl.Rehearse, eachLine))
	handle("POST /v1/verify", maxRequest, answer(ctl.Verify))
	handle("POST /v1/lock", maxRequest, answer(lasting(ctl.Lock)))
	handle("POST /v1/unlock", maxRequest, answer(lasting(func(ctx context.Context, req UnlockRequest) (nothing, error) {
		return nothing{}, ctl.Unlock(ctx, req)
	})))
	handle("POST /v1/health", maxRequest, answer(lasting(ctl.Health)))
	handle("POST /v1/close", maxRequest, answer(lasting(ctl.CloseService)))
	handle("POST /v1/open", maxRequest, answer(lasting(ctl.OpenService)))
	handle("POST /v1/occupancy", maxRequest, answer(lasting(ctl.Occupancy)))
	handle("POST /v1/history", maxRequest, stream(ctl.History, eachLine))
	handle("POST /v1/reload", maxRequest, answer(lasting(ctl.Reload)))
	handle("POST /v1/detach", maxRequest, answer(lasting(func(ctx context.Context, req DetachRequest) (nothing, error) {
		return nothing{}, ctl.Detach(ctx, req)
	})))
	handle("POST /v1/report", maxRequest, answer(ctl.Report))
	handle("POST /v1/support-bundle", maxRequest, answer(ctl.SupportBundle))
	handle("GET /v1/events", maxRequest, events(ctl.Events))
	handle("GET /v1/openapi.json", maxRequest, description())
}

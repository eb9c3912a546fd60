package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/tide"
)

// How long the server waits, and how many requests it has at once: a page has two streams.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second
	atOnce        = 64
)

// Controller is what the page shows and does.
type Controller interface {
	api.Controller

	// Web is where the page shall be served, the zero AddrPort for nowhere, and a channel that is closed when that may have
	// changed.
	Web() (netip.AddrPort, <-chan struct{})

	// Tide yields how many sessions the generations of a service had and have. An error of yield ends it.
	Tide(ctx context.Context, service string, yield func([]tide.Point) error) error
}

// verbs are those that the page has. What else there is has no place in a browser.
var verbs = []string{
	"GET /v1/status", "GET /v1/events",
	"POST /v1/flip", "POST /v1/rollback", "POST /v1/flip-group", "POST /v1/rollback-group", "POST /v1/release", "POST /v1/release/plan", "POST /v1/releases", "POST /v1/evict",
	"POST /v1/gates", "POST /v1/drops", "POST /v1/history",
}

// again is how long after an address could not be had it is tried again: another process may have had it.
const again = time.Second

// Run serves the page where the configuration says, as that changes, until the context ends. A listener that can't be had is
// logged once, and tried again: it is no reason to stop what forwards.
func Run(ctx context.Context, ctl Controller, socket string, log *slog.Logger) error {
	said := ""
	for {
		at, change := ctl.Web()
		if !at.IsValid() {
			if err := os.Remove(AccessFile(socket)); err == nil {
				log.Info("the web page is served no more")
			}
			if !wait(ctx, change) {
				return nil
			}
			continue
		}
		why := ""
		if err := serveAt(ctx, ctl, at, AccessFile(socket), log); err != nil {
			if why = err.Error(); why != said {
				log.Error("the web page is not served", "address", at, "err", err)
			}
			pause(ctx, ctl, at)
		}
		said = why
		if ctx.Err() != nil {
			return nil
		}
	}
}

// pause waits until an address may be tried again, or the page is wanted elsewhere.
func pause(ctx context.Context, ctl Controller, at netip.AddrPort) {
	ctx, stop := context.WithTimeout(ctx, again)
	defer stop()
	waitFor(ctx, ctl, at)
}

// wait says whether something happened before the context ended.
func wait(ctx context.Context, change <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-change:
		return true
	}
}

// waitFor waits until the page is wanted elsewhere than at an address.
func waitFor(ctx context.Context, ctl Controller, at netip.AddrPort) bool {
	for {
		now, change := ctl.Web()
		if now != at {
			return true
		}
		if !wait(ctx, change) {
			return false
		}
	}
}

// serveAt serves at one address, until it is wanted elsewhere.
func serveAt(ctx context.Context, ctl Controller, at netip.AddrPort, file string, log *slog.Logger) error {
	ln, err := net.Listen("tcp", at.String())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	access, err := giveAccess(file, at)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		waitFor(ctx, ctl, at)
		stop()
	}()
	log.Info("the web page is served", "address", at)
	return Serve(ctx, ln, Handler(ctl, access), log)
}

// Handler is the page and its verbs, with all that is before them.
func Handler(ctl Controller, access Access) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", page())
	closed := func(h http.Handler) http.Handler { return withToken(access, withPeer(h)) }
	calls := closed(api.Handler(ctl))
	for _, pattern := range verbs {
		mux.Handle(pattern, calls)
	}
	mux.Handle("GET /tide", closed(tideOf(ctl)))
	return guard(few(mux))
}

// few lets in so many requests at once.
func few(next http.Handler) http.Handler {
	room := make(chan struct{}, atOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
		default:
			http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Serve answers on ln until ctx ends, and closes ln. Streams end with ctx, a change that has begun is given time to finish.
// When it returns no call of the controller runs any more.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	streams, end := context.WithCancelCause(context.Background())
	defer end(nil)
	var inside sync.RWMutex // held for reading by each call
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !inside.TryRLock() {
				http.Error(w, "the daemon is stopping", http.StatusServiceUnavailable)
				return
			}
			defer inside.RUnlock()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return streams },
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		end(api.Errorf(api.Unavailable, "the daemon is stopping"))
		patience, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if srv.Shutdown(patience) != nil {
			_ = srv.Close() // its connections are what it may fail for
		}
	})
	err := srv.Serve(ln)
	if stop() { // it failed by itself
		end(api.Errorf(api.Unavailable, "the daemon is stopping"))
		_ = srv.Close()
	} else {
		<-stopped
	}
	inside.Lock()
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the web page: %w", err)
	}
	return nil
}

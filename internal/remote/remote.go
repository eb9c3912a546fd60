// Package remote is the daemon's API on the network: TLS 1.3, who gets in by a client's certificate or a bearer token, and how
// much of it anybody may have. What somebody may do once he is in is internal/api's.
//
// It is off unless the configuration says where it listens.
package remote

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
)

// look is how often the files are looked at: a certificate that was renewed, or taken back, is seen that soon.
const look = time.Second

// Server answers where the configuration says. Make one with [New].
type Server struct {
	log      *slog.Logger
	quiet    *slog.Logger // of what strangers cause
	now      func() time.Time
	requests *limiter
	refusals *limiter
	underWay *slots
	wake     chan struct{}

	mu      sync.Mutex
	is      *access      // nil: it is off
	ln      net.Listener // what Run shall serve
	serving net.Listener // what it serves, and closes
	noted   string       // the last trouble with files that was logged
}

// New makes a server that is off.
func New(log *slog.Logger, now func() time.Time) *Server {
	return &Server{
		log: log, quiet: slog.New(quiet{log.Handler(), &limiter{rate: refusalsRate, burst: refusalsBurst, now: now}}),
		now: now, wake: make(chan struct{}, 1),
		requests: &limiter{rate: requestsRate, burst: requestsBurst, now: now},
		refusals: &limiter{rate: refusalsRate, burst: refusalsBurst, now: now},
		underWay: &slots{each: maxEach, all: maxRequests},
	}
}

// Prepared is a configuration that can be put in place: its files are read, and its address is taken.
type Prepared struct {
	s  *Server
	is *access
	ln net.Listener // nil: what there is stays
}

// Prepare does whatever can be refused. Nothing changes before Commit; a configuration that is not wanted any more ends with
// Cancel.
func (s *Server) Prepare(conf *config.API) (*Prepared, error) {
	p := &Prepared{s: s}
	if conf == nil {
		return p, nil
	}
	var err error
	if p.is, err = load(*conf); err != nil {
		return nil, err
	}
	if was := s.access(); was != nil && was.conf.Listen == conf.Listen && s.Addr() != nil {
		return p, nil
	}
	ln, err := net.Listen("tcp", conf.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("api.listen: %w", err)
	}
	p.ln = &limited{
		Listener: ln, open: &slots{each: maxConnectionsEach, all: maxConnections},
		begun: &limiter{rate: connectionsRate, burst: connectionsBurst, now: s.now},
	}
	return p, nil
}

// Check says what is wrong with the files of a configuration.
func Check(conf config.API) error {
	_, err := load(conf)
	return err
}

// Cancel gives a configuration up. After Commit it does nothing.
func (p *Prepared) Cancel() {
	if p.ln != nil {
		p.ln.Close()
		p.ln = nil
	}
}

// Commit puts a configuration in place. Whoever gets in no longer is out.
func (p *Prepared) Commit() {
	s := p.s
	if s == nil { // there is nobody to serve
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.commit()
}

// commit is Commit for whoever holds the lock.
func (p *Prepared) commit() {
	s := p.s
	s.put(p.is)
	switch {
	case p.is == nil:
		s.listen(nil)
	case p.ln != nil:
		s.listen(p.ln)
	}
	p.ln = nil
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// listen changes what Run shall serve. One that it has not come to is nobody else's to close. The lock is held.
func (s *Server) listen(ln net.Listener) {
	if s.ln != nil && s.ln != s.serving {
		s.ln.Close()
	}
	s.ln = ln
}

// put changes who gets in. The lock is held.
func (s *Server) put(is *access) {
	was := s.is
	s.is, s.noted = is, ""
	switch {
	case was == nil:
	case is != nil && is.who == was.who: // the daemon's own certificate at most
		is.ended, is.end = was.ended, was.end
	default:
		was.end()
	}
}

func (s *Server) access() *access {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.is
}

// Addr is where it answers; nil: nowhere.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// Run serves until the context ends. Trouble on the network is logged: it is no reason for the daemon to end.
func (s *Server) Run(ctx context.Context, ctl api.Controller) error {
	files := time.NewTicker(look)
	defer files.Stop()
	stop := func() {}
	defer func() { stop() }()
	for {
		s.mu.Lock()
		want, was := s.ln, s.serving
		s.serving = want
		s.mu.Unlock()
		if want != was {
			stop()
			stop = func() {}
			if want != nil {
				stop = s.serve(ctx, want, ctl)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-files.C:
			s.refresh()
			s.reopen()
		}
	}
}

// serve begins to answer on a listener; stop waits for the end of that.
func (s *Server) serve(ctx context.Context, ln net.Listener, ctl api.Controller) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	s.log.Info("the remote API answers", "address", ln.Addr().String())
	go func() {
		defer close(over)
		if err := api.ServeRemote(ctx, tls.NewListener(ln, s.tls()), ctl, s.enter, s.quiet); err != nil {
			s.log.Error("the remote API has ended", "address", ln.Addr().String(), "err", err)
			s.lost(ln)
		}
	}()
	return func() { cancel(); <-over }
}

// lost notes that nobody answers on a listener any more.
func (s *Server) lost(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln == ln {
		s.ln = nil
	}
}

// reopen takes the address again when it was lost. While that fails, a reload says why.
func (s *Server) reopen() { s.again()() }

// again is reopen, up to the moment at which it is put in place.
func (s *Server) again() (put func()) {
	is := s.access()
	if is == nil || s.Addr() != nil {
		return func() {}
	}
	p, err := s.Prepare(&is.conf)
	if err != nil {
		return func() {}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.is != is { // a reload was faster
			p.Cancel()
			return
		}
		p.commit()
	}
}

// tls asks for each connection what holds now.
func (s *Server) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if a := s.access(); a != nil {
				return a.tls(), nil
			}
			return nil, errEnded
		},
	}
}

// refresh reads files that were replaced. With ones that can't be used all stays as it was: a file may be half written.
func (s *Server) refresh() {
	was := s.access()
	if was == nil || !was.stale() {
		return
	}
	is, err := load(was.conf)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.is != was: // a reload was faster
	case err != nil && s.noted != err.Error():
		s.noted = err.Error()
		s.log.Error("the remote API goes on with the files as they were", "err", err)
	case err == nil:
		s.put(is)
		s.log.Info("the remote API's files were read again", "certificate", serialOf(is), "other_people", is.who != was.who)
	}
}

func serialOf(a *access) string {
	if a.cert.Leaf == nil {
		return ""
	}
	return serial(a.cert.Leaf.SerialNumber)
}

// Changes says in words how a configuration differs from the one before it.
func Changes(was, is *config.API) (out []string) {
	switch {
	case was == nil && is == nil, was != nil && is != nil && reflect.DeepEqual(*was, *is):
		return nil
	case was == nil:
		return []string{"the remote API listens on " + is.Listen.String()}
	case is == nil:
		return []string{"the remote API on " + was.Listen.String() + " is closed"}
	}
	if was.Listen != is.Listen {
		out = append(out, fmt.Sprintf("the remote API moves from %s to %s", was.Listen, is.Listen))
	}
	if was.TLS != is.TLS || was.Tokens != is.Tokens {
		out = append(out, "the remote API has other files")
	}
	if !reflect.DeepEqual(was.Roles, is.Roles) {
		out = append(out, "the remote API has other roles")
	}
	return out
}

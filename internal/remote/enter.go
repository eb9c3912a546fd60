package remote

import (
	"context"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/config"
)

// How often each caller may ask, how many of his requests may be under way at a time, and how often somebody at one address
// who has not proved himself is told why, and logged.
const (
	requestsRate  = 20 // a second
	requestsBurst = 100
	maxRequests   = 256
	maxEach       = 16
	refusalsRate  = 1 // a second
	refusalsBurst = 10
)

// enter finds out who asks.
func (s *Server) enter(next http.Handler) http.Handler {
	// A browser would send its user's certificate along with what another site asks it to post.
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		a := s.access()
		if a == nil {
			api.WriteError(r.Context(), w, api.Errorf(api.Unavailable, "the remote API is being closed"))
			return
		}
		c, until, err := a.caller(r, s.now())
		if err == nil {
			if crossed := foreign.Check(r); crossed != nil {
				err = api.Errorf(api.Forbidden, "a page of another site has sent it: %v", crossed)
			}
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		if !s.requests.allow(c.String()) {
			api.WriteError(r.Context(), w, api.Errorf(api.TooMany, "%s asks more than %d times a second: ask again", c, requestsRate))
			return
		}
		release, ok := s.underWay.take(c.String())
		if !ok {
			api.WriteError(r.Context(), w, api.Errorf(api.TooMany, "%d requests of %s, or %d of all, are under way: ask again", maxEach, c, maxRequests))
			return
		}
		defer release()
		ctx, stop := a.while(r.Context(), until)
		defer stop()
		next.ServeHTTP(w, r.WithContext(api.WithCaller(ctx, c)))
	})
}

// refuse tells who has not got in, and the log, but not as often as he likes.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if !s.refusals.allow(hostOf(r.RemoteAddr)) {
		err = api.Errorf(api.TooMany, "you were refused too often: ask again later")
	} else {
		s.quiet.Warn("refused on the remote API", "from", r.RemoteAddr, "err", err)
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	api.WriteError(r.Context(), w, err)
}

// while is a context that ends when its caller's right to it does.
func (a *access) while(parent context.Context, until time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	ended := context.AfterFunc(a.ended, func() { cancel(api.Errorf(api.Unavailable, "%v: ask again", errEnded)) })
	stop := func() { ended(); cancel(nil) }
	if until.IsZero() {
		return ctx, stop
	}
	ctx, late := context.WithDeadlineCause(ctx, until, api.Errorf(api.Unauthenticated, "your certificate has expired"))
	return ctx, func() { late(); stop() }
}

// caller is who has sent a request, and until when he is that. A token goes before a certificate.
func (a *access) caller(r *http.Request, now time.Time) (c api.Caller, until time.Time, err error) {
	if head := r.Header.Values("Authorization"); len(head) > 0 {
		c, err = a.byToken(head)
	} else {
		c, until, err = a.byCertificate(r, now)
	}
	c.From = r.RemoteAddr
	return c, until, err
}

func (a *access) byToken(head []string) (api.Caller, error) {
	if a.conf.Tokens == "" {
		return api.Caller{}, api.Errorf(api.Unauthenticated, "no tokens are taken here: show a certificate")
	}
	scheme, token, _ := strings.Cut(head[0], " ")
	sum, ok := hashToken(token)
	name, known := a.tokens[sum]
	if len(head) != 1 || !strings.EqualFold(scheme, "Bearer") || !ok || !known {
		return api.Caller{}, api.Errorf(api.Unauthenticated, "the token is none that is taken here")
	}
	return a.withRole(api.Caller{Name: name, Via: api.ByToken}, func(r config.RoleOf) bool { return r.Token == name })
}

// byCertificate looks at a certificate again that was good when the connection began: it may be taken back, or have expired.
func (a *access) byCertificate(r *http.Request, now time.Time) (c api.Caller, until time.Time, err error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || a.clients == nil {
		return c, until, api.Errorf(api.Unauthenticated, "show a certificate, or a token that is taken here")
	}
	chain := r.TLS.PeerCertificates
	others := x509.NewCertPool()
	for _, cert := range chain[1:] {
		others.AddCert(cert)
	}
	cert := chain[0]
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: a.clients, Intermediates: others, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	name := cert.Subject.CommonName
	switch {
	case err != nil:
		return c, until, api.Errorf(api.Unauthenticated, "your certificate: %v", err)
	case slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return a.revoked[serial(c.SerialNumber)] }):
		return c, until, api.Errorf(api.Unauthenticated, "your certificate %s is taken back", serial(cert.SerialNumber))
	case !config.IsRoleName(name):
		return c, until, api.Errorf(api.Unauthenticated, "your certificate has no common name that somebody could have here")
	}
	c = api.Caller{Name: name, Via: api.ByCertificate, Serial: serial(cert.SerialNumber)}
	c, err = a.withRole(c, func(r config.RoleOf) bool { return r.Certificate == name })
	return c, cert.NotAfter, err
}

func (a *access) withRole(c api.Caller, is func(config.RoleOf) bool) (api.Caller, error) {
	i := slices.IndexFunc(a.conf.Roles, is)
	if i < 0 {
		return c, api.Errorf(api.Forbidden, "%s has no role here", c)
	}
	c.Role, c.Services = a.conf.Roles[i].Role, a.conf.Roles[i].Services
	return c, nil
}

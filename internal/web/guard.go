package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/ebbtide/ebbtide/internal/api"
)

// policy lets the page load its own files and talk to this server, and nothing else: no script or style within the page, no
// frame around it, no form that leads away.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// guard is before all that the listener answers.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if err := comesFromHere(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// comesFromHere refuses what was sent to another name, and what a browser sends for another page. The port is left out: an
// SSH tunnel has one of its own at its other end.
func comesFromHere(r *http.Request) error {
	if !loopbackName(r.Host) {
		return api.Errorf(api.Refused, "host %q: the page answers to localhost and loopback addresses only", r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+r.Host {
			return api.Errorf(api.Refused, "origin %q: another page has nothing to ask for here", origin)
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		opened := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		if site != "same-origin" && site != "none" && !(opened && r.URL.Path == "/") { // a link leads here
			return api.Errorf(api.Refused, "a request of a %s page: another page has nothing to ask for here", site)
		}
	}
	return nil
}

// loopbackName says whether a Host header names this host as only itself does.
func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.IsLoopback()
}

// withToken is before all that tells or changes anything. No cookie is taken: a browser sends those by itself.
func withToken(a Access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !a.is(token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the token is missing or wrong: `ebbtide web` prints the page's address with it", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

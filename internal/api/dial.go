package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Server is a daemon on the network, and how to prove to it who asks: a certificate with its key, or a token.
type Server struct {
	URL       string // https://lb1.example:9596
	CA        string // PEM file of who has signed its certificate; "": the host's own list
	Cert, Key string // PEM files
	TokenFile string
}

// maxToken is far over what a token has.
const maxToken = 4 << 10

// NewRemote makes a client of a daemon on the network. It connects, and reads its files, when it is first used: what is wrong
// with them is an error then.
func NewRemote(s Server) *Client {
	ready := sync.OnceValues(s.transport)
	return &Client{
		http: &http.Client{
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				next, err := ready()
				if err != nil {
					return nil, err
				}
				return next.RoundTrip(r)
			}),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base: strings.TrimSuffix(s.URL, "/"),
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// ErrServer is what is wrong with how a daemon on the network is to be asked, before it is.
var ErrServer = errors.New("ask a daemon on the network")

// transport asks no proxy, and speaks TLS 1.3 only.
func (s Server) transport() (http.RoundTripper, error) {
	t, err := s.prepare()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	return t, nil
}

func (s Server) prepare() (http.RoundTripper, error) {
	at, err := url.Parse(s.URL)
	if err != nil || at.Scheme != "https" || at.Host == "" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.User != nil {
		return nil, errors.New("want an address such as https://lb1.example:9596")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if s.CA != "" {
		text, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: there is no certificate in it", s.CA)
		}
	}
	if s.Cert != "" || s.Key != "" {
		cert, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	t := &http.Transport{TLSClientConfig: conf, DisableCompression: true, TLSHandshakeTimeout: headerTimeout, IdleConnTimeout: time.Minute}
	if s.TokenFile == "" {
		return t, nil
	}
	token, err := readToken(s.TokenFile)
	if err != nil {
		return nil, err
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
		return t.RoundTrip(r)
	}), nil
}

// readToken reads a file that nobody else may read.
func readToken(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would block
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().Type() != fs.FileMode(0) || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("the token %s has mode %s: want a file that only you can read (chmod 0600)", path, info.Mode())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	token := strings.TrimSpace(string(text))
	if err == nil && (token == "" || strings.ContainsAny(token, " \t\r\n")) {
		err = fmt.Errorf("there is no token in %s", path)
	}
	return token, err
}

// noAnswer says why a daemon on the network was not reached.
func (c *Client) noAnswer(ctx context.Context, err error) error {
	if c.base == localBase || ctx.Err() != nil {
		return gone(ctx, err)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, ErrServer) {
		return err
	}
	return Errorf(Unavailable, "ask the daemon at %s: %v", c.base, err)
}

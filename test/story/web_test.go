package story

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/ebbtide/ebbtide/test/lab"
)

// web is a studio's server over TLS on a backend: it says who it is, is well, and holds sockets open as a lobby does.
type web struct {
	name, colour string
	srv          *httptest.Server
}

func newWeb(b *lab.Backend, port uint16) (*web, error) {
	ln, err := b.Listen("tcp", netip.AddrPortFrom(b.V4, port))
	if err != nil {
		return nil, err
	}
	w := &web{name: b.Name, colour: b.Colour}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/pay", w.pay)
	mux.HandleFunc("/lobby", w.hold)
	w.srv = &httptest.Server{Listener: ln, Config: &http.Server{Handler: mux}}
	w.srv.StartTLS()
	return w, nil
}

// served is an answer, with the number of the request.
type served struct {
	Backend, Colour string
	N               int
}

func (w *web) pay(rw http.ResponseWriter, _ *http.Request) {
	json.NewEncoder(rw).Encode(served{Backend: w.name, Colour: w.colour})
}

// hold answers as a WebSocket's server does, and counts what comes then. The frames within are no matter of a load balancer's:
// lines stand for them.
func (w *web) hold(rw http.ResponseWriter, _ *http.Request) {
	conn, buf, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	for n := 1; ; n++ {
		if _, err := buf.ReadString('\n'); err != nil {
			return
		}
		if json.NewEncoder(conn).Encode(served{w.name, w.colour, n}) != nil {
			return
		}
	}
}

// socket is a client's end of an open one. Its number and the server's have to agree.
type socket struct {
	conn net.Conn
	tls  *tls.Conn
	in   *bufio.Reader
	n    int
	at   served
}

func openSocket(ctx context.Context, ns *lab.NS, from netip.Addr, to netip.AddrPort) (*socket, error) {
	conn, err := ns.DialFrom(ctx, "tcp", netip.AddrPortFrom(from, 0), to)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, tls: tls.Client(conn, &tls.Config{InsecureSkipVerify: true})}
	s.in = bufio.NewReader(s.tls)
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(s.tls, "GET /lobby HTTP/1.1\r\nHost: lobby\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	res, err := http.ReadResponse(s.in, nil)
	if err == nil && res.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the lobby answered %s", res.Status)
	}
	if err == nil {
		err = s.ask()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// ask sends a line, and judges the answer.
func (s *socket) ask() error {
	s.n++
	if _, err := fmt.Fprintln(s.tls, s.n); err != nil {
		return err
	}
	line, err := s.in.ReadString('\n')
	if err != nil {
		return err
	}
	var got served
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		return err
	}
	if s.n > 1 && got.Backend != s.at.Backend || got.N != s.n {
		return fmt.Errorf("request %d was number %d of %s, those before were of %s", s.n, got.N, got.Backend, s.at.Backend)
	}
	s.at = got
	return nil
}

// leave closes as browsers do, each side after the other: no RST.
func (s *socket) leave() error {
	if err := s.tls.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, s.in)
	return errors.Join(err, s.conn.Close())
}

// metrics answers as Prometheus does.
type metrics struct{ *quality }

func newMetrics(ns *lab.NS) (*metrics, error) {
	q, err := newQuality(ns)
	if err != nil {
		return nil, err
	}
	q.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/api/v1/query") || r.FormValue("query") != "job:errors:ratio" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1700000000, "0.001"]}]}}`)
	})
	return &metrics{q}, nil
}

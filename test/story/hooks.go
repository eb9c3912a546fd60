package story

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/ebbtide/ebbtide/internal/hook"
	"github.com/ebbtide/ebbtide/test/lab"
)

// tee is a hook that keeps what it is told.
func (s *Story) tee(service string) string {
	return fmt.Sprintf("[{exec: [/usr/bin/tee, -a, %q], timeout: 10s}]", s.told(service))
}

func (s *Story) told(service string) string { return filepath.Join(s.lab.Dir, "told-"+service) }

// calls are what a service's hooks were told of a transition.
func (s *Story) calls(service, transition string) (calls []hook.Call, err error) {
	text, err := os.ReadFile(s.told(service))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var c hook.Call
		if err := d.Decode(&c); errors.Is(err, io.EOF) {
			return calls, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what the hooks of %s were told: %w", service, err)
		}
		if c.Transition == transition {
			calls = append(calls, c)
		}
	}
}

// quality is a service of the studio's own that a gate asks.
type quality struct {
	listener net.Listener
	server   *http.Server
	verdict  atomic.Value // a string: pass, fail or pending
}

func newQuality(ns *lab.NS) (*quality, error) {
	ln, err := ns.Listen("tcp", netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	q := &quality{listener: ln}
	q.verdict.Store("pending")
	q.server = &http.Server{Handler: http.HandlerFunc(q.answer)}
	go q.server.Serve(ln)
	return q, nil
}

func (q *quality) answer(w http.ResponseWriter, _ *http.Request) {
	json.NewEncoder(w).Encode(map[string]any{"verdict": q.verdict.Load()})
}

func (q *quality) URL() string  { return "http://" + q.listener.Addr().String() }
func (q *quality) Close() error { return q.server.Close() }

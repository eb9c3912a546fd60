package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// ErrAbsent says that no probe net runs on this host.
var ErrAbsent = errors.New("no probe net runs on this host")

// Client is the daemon's end of a probe net's socket.
type Client struct{ http *http.Client }

// NewClient is a client of the socket at a path. Nothing is opened yet.
func NewClient(socket string) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // the probe net may come and go
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

// Info asks what the probe net is; [ErrAbsent] when there is none.
func (c *Client) Info(ctx context.Context) (out Info, err error) {
	err = c.call(ctx, http.MethodGet, "info", nil, &out)
	return out, err
}

// Ask asks one question.
func (c *Client) Ask(ctx context.Context, q Question) (out Answer, err error) {
	err = c.call(ctx, http.MethodPost, "ask", q, &out)
	return out, err
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://probe/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return ErrAbsent
	}
	if err != nil {
		return fmt.Errorf("ask the probe net: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(res.Body, maxSeen))
		return fmt.Errorf("ask the probe net: %s: %s", res.Status, strings.TrimSpace(string(said)))
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("read what the probe net says: %w", err)
	}
	return nil
}

// Open has so many players come to the shadow service.
func (c *Client) Open(ctx context.Context, n int) (out []Player, err error) {
	err = c.call(ctx, http.MethodPost, "shadow/players", order{Open: n}, &out)
	return out, err
}

// Exchange lets each player send a message and wait for its answer.
func (c *Client) Exchange(ctx context.Context) (out []Player, err error) {
	err = c.call(ctx, http.MethodPost, "shadow/players", order{}, &out)
	return out, err
}

// End has players leave.
func (c *Client) End(ctx context.Context, ids []int) error {
	if len(ids) == 0 { // that is another order
		return nil
	}
	var out []Player
	return c.call(ctx, http.MethodPost, "shadow/players", order{End: ids}, &out)
}

// EndAll has all players leave.
func (c *Client) EndAll(ctx context.Context) error {
	var out []Player
	return c.call(ctx, http.MethodPost, "shadow/players", order{All: true}, &out)
}

// Forget ends all players and begins the log of the shadow's backends anew.
func (c *Client) Forget(ctx context.Context) error {
	var out []Player
	return c.call(ctx, http.MethodPost, "shadow/players", order{All: true, Log: true}, &out)
}

// Served is the log of the shadow's backends.
func (c *Client) Served(ctx context.Context) (out []Served, err error) {
	err = c.call(ctx, http.MethodGet, "shadow/served", nil, &out)
	return out, err
}
